//! Predictions, for a classifier's scores.

use crate::{
    Result,
    context::Scope,
    contract::{ContextError, PREDICTIONS},
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
    outcome: Result<(String, String), MetricError>,
    date: SystemTime,
    extra: Bson,
}

impl Prediction {
    /// A prediction with its true value. Neither may be empty.
    pub fn new(predicted_value: impl Into<String>, true_value: impl Into<String>) -> Self {
        Self {
            outcome: Ok((predicted_value.into(), true_value.into())),
            date: SystemTime::now(),
            extra: Bson::Null,
        }
    }

    /// A failed prediction.
    pub fn error(error: MetricError) -> Self {
        Self { outcome: Err(error), date: SystemTime::now(), extra: Bson::Null }
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
        let (error, (predicted, truth)) = match outcome {
            Ok(values) => {
                ContextError::require("prediction.save", "predicted_value", &values.0)?;
                ContextError::require("prediction.save", "true_value", &values.1)?;
                ("", values)
            }
            Err(error) => (error.as_str(), Default::default()),
        };
        let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        let hello = &self.0.process.hello;
        let document = doc! {
            "date": UtcDateTime::from(date).format(form)?,
            "error": error,
            "predictedValue": predicted,
            "trueValue": truth,
            "extra": extra,
            "versionId": &hello.version_id,
            "versionName": &hello.version,
        };
        let stored = Database(self.0).store(PREDICTIONS, document.into()).await;
        Ok(stored.map_err(|reason| ContextError::NotPredicted { reason })?)
    }
}
