package kre

import "time"

// Names from older runners. Each one logs a warning, once per process.

// Metrics is the old name of Predictions.
type Metrics struct {
	parts *parts
}

// Save does what Prediction.Save does.
//
// Deprecated: use Prediction.Save.
func (m *Metrics) Save(date time.Time, predictedValue, trueValue string) {
	m.parts.warnOf("Metrics.Save", "Prediction.Save")
	m.parts.prediction.Save(date, predictedValue, trueValue)
}

// SaveError does what Prediction.SaveError does.
//
// Deprecated: use Prediction.SaveError.
func (m *Metrics) SaveError(saveMetricErr SaveMetricErr) {
	m.parts.warnOf("Metrics.SaveError", "Prediction.SaveError")
	m.parts.prediction.SaveError(saveMetricErr)
}

// SaveMetric does what Prediction.Save does.
//
// Deprecated: use Prediction.Save.
func (c *HandlerContext) SaveMetric(date time.Time, predictedValue, trueValue string) {
	c.parts.warnOf("SaveMetric", "Prediction.Save")
	c.Prediction.Save(date, predictedValue, trueValue)
}

// SaveMetricError does what Prediction.SaveError does.
//
// Deprecated: use Prediction.SaveError.
func (c *HandlerContext) SaveMetricError(saveMetricErr SaveMetricErr) {
	c.parts.warnOf("SaveMetricError", "Prediction.SaveError")
	c.Prediction.SaveError(saveMetricErr)
}

// SaveData does what DB.Save does.
//
// Deprecated: use DB.Save.
func (c *HandlerContext) SaveData(collection string, data interface{}) error {
	c.parts.warnOf("SaveData", "DB.Save")
	return c.DB.Save(collection, data)
}

// GetData does what DB.Find does.
//
// Deprecated: use DB.Find.
func (c *HandlerContext) GetData(colName string, query QueryData, res interface{}) error {
	c.parts.warnOf("GetData", "DB.Find")
	return c.DB.Find(colName, query, res)
}

// GetPath does what Path does.
//
// Deprecated: use Path.
func (c *HandlerContext) GetPath(relativePath string) string {
	c.parts.warnOf("GetPath", "Path")
	return c.Path(relativePath)
}

// SetValue does what Set does.
//
// Deprecated: use Set.
func (c *HandlerContext) SetValue(key string, value interface{}) {
	c.parts.warnOf("SetValue", "Set")
	c.Set(key, value)
}

// SetValueString does what Set does.
//
// Deprecated: use Set.
func (c *HandlerContext) SetValueString(key, value string) {
	c.parts.warnOf("SetValueString", "Set")
	c.Set(key, value)
}

// SetValueInt does what Set does.
//
// Deprecated: use Set.
func (c *HandlerContext) SetValueInt(key string, value int) {
	c.parts.warnOf("SetValueInt", "Set")
	c.Set(key, value)
}

// SetValueFloat does what Set does.
//
// Deprecated: use Set.
func (c *HandlerContext) SetValueFloat(key string, value float64) {
	c.parts.warnOf("SetValueFloat", "Set")
	c.Set(key, value)
}

// GetValue does what Get does.
//
// Deprecated: use Get.
func (c *HandlerContext) GetValue(key string) interface{} {
	c.parts.warnOf("GetValue", "Get")
	return c.Get(key)
}

// GetValueString does what GetString does.
//
// Deprecated: use GetString.
func (c *HandlerContext) GetValueString(key string) string {
	c.parts.warnOf("GetValueString", "GetString")
	return c.GetString(key)
}

// GetValueInt does what GetInt does.
//
// Deprecated: use GetInt.
func (c *HandlerContext) GetValueInt(key string) int {
	c.parts.warnOf("GetValueInt", "GetInt")
	return c.GetInt(key)
}

// GetValueFloat does what GetFloat does.
//
// Deprecated: use GetFloat.
func (c *HandlerContext) GetValueFloat(key string) float64 {
	c.parts.warnOf("GetValueFloat", "GetFloat")
	return c.GetFloat(key)
}

// warnOf warns about an old name on its first use in the process.
func (p *parts) warnOf(old, instead string) {
	if p.values.isFirst(old) {
		p.logger.Warnf("`ctx.%s` is an old name; hint: use `ctx.%s`", old, instead)
	}
}
