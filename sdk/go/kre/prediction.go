package kre

import (
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
)

// Predictions saves predictions as documents for the metrics of a classifier.
//
// A prediction that cannot be saved is logged.
type Predictions struct {
	parts *parts
}

// record is the stored form of a prediction.
type record struct {
	Date           string      `json:"date"`
	Error          string      `json:"error"`
	PredictedValue string      `json:"predictedValue"`
	TrueValue      string      `json:"trueValue"`
	Extra          interface{} `json:"extra"`
	VersionID      string      `json:"versionId"`
	VersionName    string      `json:"versionName"`
}

// Save saves the predicted and the true value.
func (p *Predictions) Save(date time.Time, predictedValue, trueValue string) {
	for _, argument := range [...]struct{ name, value string }{
		{"predicted_value", predictedValue},
		{"true_value", trueValue},
	} {
		if argument.value == "" {
			p.parts.logger.Error(notText("prediction.save", argument.name, argument.value).Error())
			return
		}
	}
	p.save(record{
		Date:           date.UTC().Format(predictionDate),
		PredictedValue: predictedValue,
		TrueValue:      trueValue,
	})
}

// SaveError saves the reason for a missing prediction.
func (p *Predictions) SaveError(saveMetricErr SaveMetricErr) {
	if err := saveMetricErr.IsValid(); err != nil {
		p.parts.logger.Error(err.Error())
		return
	}
	p.save(record{
		Date:  p.parts.scope.Now().UTC().Format(predictionDate),
		Error: string(saveMetricErr),
	})
}

func (p *Predictions) save(made record) {
	made.VersionID, made.VersionName = p.parts.hello.VersionID, p.parts.hello.Version
	body, err := document.Encode(made)
	if err == nil {
		err = p.parts.scope.Save(predictions, body)
	}
	if err != nil {
		p.parts.logger.Error(notPredicted(err).Error())
	}
}
