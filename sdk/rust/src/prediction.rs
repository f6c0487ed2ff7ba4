//! Predictions, for a classifier's scores.

use crate::{
    Result,
    context::Scope,
    contract::{ContextError, PREDICTIONS, UPDATES},
    database::Database,
};
use bson::{Bson, doc};
use serde::Serialize;
use std::time::SystemTime;
use time::{UtcDateTime, macros::format_description};

/// Saves predictions, as documents that a classifier's scores are computed from.
#[derive(Clone, Copy)]
pub struct Predictions<'a>(pub(crate) &'a Scope);

/// Why a prediction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricError {
    /// The input lacked values.
    MissingValues,
    /// The model does not know the label.
    NewLabels,
}

impl MetricError {
    /// The error as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingValues => "missing_values",
            Self::NewLabels => "new_labels",
        }
    }
}

impl std::str::FromStr for MetricError {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::MissingValues, Self::NewLabels].into_iter().find(|error| error.as_str() == text);
        Ok(known.ok_or_else(|| ContextError::NotMetricError { value: text.to_owned() })?)
    }
}

/// A prediction: the predicted and the true value, or an error instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    outcome: Outcome,
    date: SystemTime,
    extra: Bson,
}

/// What a prediction knows.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Known { predicted: String, truth: String },
    Pending { predicted: String },
    Failed(MetricError),
}

impl Prediction {
    /// A prediction with its true value. Neither may be empty.
    pub fn new(predicted_value: impl Into<String>, true_value: impl Into<String>) -> Self {
        Self::of(Outcome::Known { predicted: predicted_value.into(), truth: true_value.into() })
    }

    /// A prediction whose true value comes later, with [`Predictions::update`]. The predicted value may not be empty.
    pub fn pending(predicted_value: impl Into<String>) -> Self {
        Self::of(Outcome::Pending { predicted: predicted_value.into() })
    }

    /// A failed prediction.
    pub fn error(error: MetricError) -> Self {
        Self::of(Outcome::Failed(error))
    }

    fn of(outcome: Outcome) -> Self {
        Self { outcome, date: SystemTime::now(), extra: Bson::Null }
    }

    /// Sets its time, instead of now.
    #[must_use]
    pub fn at(self, date: SystemTime) -> Self {
        Self { date, ..self }
    }

    /// Adds further data. Fails where BSON cannot represent a value.
    pub fn extra(self, extra: impl Serialize) -> Result<Self> {
        Ok(Self { extra: bson::serialize_to_bson(&extra)?, ..self })
    }
}

impl Predictions<'_> {
    /// Saves a prediction, and returns once the store has confirmed it.
    pub async fn save(self, prediction: Prediction) -> Result<()> {
        let Prediction { outcome, date, extra } = prediction;
        let (error, predicted, truth) = match outcome {
            Outcome::Known { predicted, truth } => {
                ContextError::require("prediction.save", "predicted_value", &predicted)?;
                ContextError::require("prediction.save", "true_value", &truth)?;
                ("", predicted, truth)
            }
            Outcome::Pending { predicted } => {
                ContextError::require("prediction.save_pending", "predicted_value", &predicted)?;
                ("", predicted, String::new())
            }
            Outcome::Failed(error) => (error.as_str(), String::new(), String::new()),
        };
        let hello = &self.0.process.hello;
        let mut document = doc! {
            "date": text(date)?,
            "error": error,
            "predictedValue": predicted,
            "trueValue": truth,
            "extra": extra,
            "versionId": &hello.version_id,
            "versionName": &hello.version,
        };
        if let Some(request) = self.0.request() {
            document.insert("requestId", &*request);
        }
        let stored = Database(self.0).store(PREDICTIONS, document.into()).await;
        Ok(stored.map_err(|reason| ContextError::NotPredicted { reason })?)
    }

    /// Saves the true value of what an earlier request predicted, and returns once the store has confirmed it.
    ///
    /// `request_id` is the [`Context::request_id`](crate::Context::request_id) of the handler that saved the prediction.
    /// The true value counts for all predictions of that request. The latest update replaces earlier ones, and the true
    /// value of [`Prediction::new`].
    pub async fn update(self, request_id: &str, true_value: &str) -> Result<()> {
        ContextError::require("prediction.update", "request_id", request_id)?;
        ContextError::require("prediction.update", "true_value", true_value)?;
        let date = text(SystemTime::now())?;
        let update = doc! { "requestId": request_id, "trueValue": true_value, "date": date };
        let stored = Database(self.0).store(UPDATES, update.into()).await;
        Ok(stored.map_err(|reason| ContextError::NotUpdated { reason })?)
    }
}

/// A time as text, as KRT v1 stores it.
fn text(date: SystemTime) -> Result<String> {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    Ok(UtcDateTime::from(date).format(form)?)
}
