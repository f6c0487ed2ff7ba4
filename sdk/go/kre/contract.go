package kre

import "fmt"

// The names, values and messages that KRT v1 fixes for user code.

// SaveMetricErr is the reason for a missing prediction.
type SaveMetricErr string

const (
	// ErrMissingValues is the error of a prediction with missing input.
	ErrMissingValues SaveMetricErr = "missing_values"
	// ErrNewLabels is the error of a prediction with a label unknown to the model.
	ErrNewLabels SaveMetricErr = "new_labels"

	// predictions is the collection of predictions.
	predictions = "classificationMetrics"
	// updates is the collection of true values that came after their predictions.
	updates        = "classificationMetricsUpdates"
	predictionDate = "2006-01-02T15:04:05.000000Z"
)

// IsValid returns an error unless KRT v1 defines the value.
func (e SaveMetricErr) IsValid() error {
	if e == ErrMissingValues || e == ErrNewLabels {
		return nil
	}
	return fmt.Errorf(
		"[ctx.prediction.save] invalid value for metric error %s should be one of '%s,%s'",
		string(e), ErrMissingValues, ErrNewLabels)
}

func notText(method, argument, value string) error {
	return fmt.Errorf("[ctx.%s] invalid '%s'='%s', must be a nonempty string", method, argument, value)
}

func notQuery(query QueryData) error {
	return fmt.Errorf("[ctx.db.find] invalid 'query'='%v', must be a nonempty dict", map[string]interface{}(query))
}

func notFound(reason error) error {
	return fmt.Errorf("[ctx.db.find] error getting data from MongoDB: %w", reason)
}

func notSaved(reason error) error {
	return fmt.Errorf("[ctx.db.save] error saving the document: %w", reason)
}

func notPredicted(reason error) error {
	return fmt.Errorf("[ctx.prediction.save] error saving the prediction: %w", reason)
}

func notUpdated(reason error) error {
	return fmt.Errorf("[ctx.prediction.update] error saving the true value: %w", reason)
}
