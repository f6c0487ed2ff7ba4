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
	RequestID      string      `json:"requestId,omitempty"`
}

// update is the stored form of a true value that came later.
type update struct {
	RequestID string `json:"requestId"`
	TrueValue string `json:"trueValue"`
	Date      string `json:"date"`
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

// SavePending saves the predicted value of a prediction whose true value comes later, with Update. Keep RequestID where
// the true value will come from.
func (p *Predictions) SavePending(date time.Time, predictedValue string) {
	if predictedValue == "" {
		p.parts.logger.Error(notText("prediction.save_pending", "predicted_value", predictedValue).Error())
		return
	}
	p.save(record{Date: date.UTC().Format(predictionDate), PredictedValue: predictedValue})
}

// Update saves the true value of what an earlier request predicted, and returns once the store has it.
//
// requestID is the RequestID of the handler that saved the prediction. The true value counts for all predictions of
// that request. The latest update replaces earlier ones, and the true value of Save.
func (p *Predictions) Update(requestID, trueValue string) error {
	if requestID == "" {
		return notText("prediction.update", "request_id", requestID)
	}
	if trueValue == "" {
		return notText("prediction.update", "true_value", trueValue)
	}
	date := p.parts.scope.Now().UTC().Format(predictionDate)
	body, err := document.Encode(update{RequestID: requestID, TrueValue: trueValue, Date: date})
	if err == nil {
		err = p.parts.scope.Save(updates, body)
	}
	if err != nil {
		return notUpdated(err)
	}
	return nil
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
	made.RequestID = p.parts.scope.RequestID()
	body, err := document.Encode(made)
	if err == nil {
		err = p.parts.scope.Save(predictions, body)
	}
	if err != nil {
		p.parts.logger.Error(notPredicted(err).Error())
	}
}
