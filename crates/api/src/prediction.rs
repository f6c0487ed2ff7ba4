//! Predictions and their scores.

use crate::{Time, schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Prediction {
    /// Its id.
    pub id: String,
    /// When it was made.
    #[schema(value_type = schema::Time)]
    pub time: Time,
    /// The version.
    pub version: String,
    /// The request that saved it; `null` in `init`, for a whole batch, and for older runners.
    #[schema(required)]
    pub request: Option<String>,
    /// The predicted label.
    pub predicted: String,
    /// The true label, the latest that is known; empty while it is not known.
    pub true_value: String,
    /// When the true label came, if after the prediction.
    #[schema(required, value_type = Option<schema::Time>)]
    pub updated: Option<Time>,
    /// Why it cannot be scored.
    #[schema(required)]
    pub error: Option<String>,
    /// Whatever the node saved beside; may be `null`.
    pub extra: Value,
}

/// A page of predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictionPage {
    /// The predictions, newest first.
    pub predictions: Vec<Prediction>,
    /// The cursor of the next page.
    #[schema(required)]
    pub next: Option<String>,
}

/// The scores of predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictionSummary {
    /// The number of predictions with both labels.
    pub predictions: u64,
    /// The number of correct ones.
    pub correct: u64,
    /// The share of correct ones.
    #[schema(required)]
    pub accuracy: Option<f64>,
    /// The number without a label, because values were missing.
    pub missing_values: u64,
    /// The number without a label, because labels were new.
    pub new_labels: u64,
    /// The number whose true label is not known yet.
    pub pending: u64,
    /// The number of requests, of any time and version, that have a true label but no prediction.
    pub unmatched_updates: u64,
    /// The time of the first prediction.
    #[schema(required, value_type = Option<schema::Time>)]
    pub first: Option<Time>,
    /// The time of the last prediction.
    #[schema(required, value_type = Option<schema::Time>)]
    pub last: Option<Time>,
    /// The scores of each label.
    pub classes: Vec<ClassScore>,
    /// How often each label was taken for each other one.
    pub confusion: Confusion,
    /// The length of a window of `over_time`.
    #[schema(minimum = 1)]
    pub every_seconds: u64,
    /// The scores over time.
    pub over_time: Vec<PredictionWindow>,
    /// Whether there were more predictions, or updates, than the server reads.
    pub truncated: bool,
}

/// The scores of one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassScore {
    /// The label.
    pub label: String,
    /// How often it was the true one.
    pub support: u64,
    /// How often it was predicted.
    pub predicted: u64,
    /// How often both.
    pub correct: u64,
    /// The share of correct ones among those predicted.
    #[schema(required)]
    pub precision: Option<f64>,
    /// The share of correct ones among the true ones.
    #[schema(required)]
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall.
    #[schema(required)]
    pub f1: Option<f64>,
}

/// The confusion matrix. `counts[i][j]`: the true label i was predicted as j.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confusion {
    /// The labels, in order.
    pub labels: Vec<String>,
    /// The counts, by true and by predicted label.
    pub counts: Vec<Vec<u64>>,
}

/// The scores of a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictionWindow {
    /// When it begins.
    #[schema(value_type = schema::Time)]
    pub start: Time,
    /// The number of predictions with both labels.
    pub predictions: u64,
    /// The number of correct ones.
    pub correct: u64,
    /// The share of correct ones.
    #[schema(required)]
    pub accuracy: Option<f64>,
    /// The number without a label, because values were missing.
    pub missing_values: u64,
    /// The number without a label, because labels were new.
    pub new_labels: u64,
}
