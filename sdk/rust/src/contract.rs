//! The fixed names, values and messages of KRT v1 for user code.

/// The collection of predictions.
pub(crate) const PREDICTIONS: &str = "classificationMetrics";

/// The collection of true values that came after their predictions.
pub(crate) const UPDATES: &str = "classificationMetricsUpdates";

/// Errors of the context's methods.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("error the message was replied previously")]
    Replied,
    #[error("[ctx.{method}] there is no request {place}; hint: call it in `handler`")]
    NoRequest { method: &'static str, place: &'static str },
    #[error(
        "[ctx.send] the RPC has one answer; hint: write `returns (stream …)` in the .proto to answer with several messages"
    )]
    OneAnswer,
    #[error(
        "[ctx.{method}] a batch has several requests; hint: call it on the context of one, such as `ctx.items()[0].{method}`"
    )]
    OfItems { method: &'static str },
    #[error("[ctx.{method}] invalid '{argument}'='{value}', must be a nonempty string")]
    NotText { method: &'static str, argument: &'static str, value: String },
    #[error("[ctx.db.save] invalid 'data'='{value}', must be a map or a struct")]
    NotDocument { value: String },
    #[error("[ctx.db.save] the document cannot be stored: {reason}")]
    Unfit { reason: String },
    #[error("[ctx.db.save] error saving the document: {reason}")]
    NotSaved { reason: String },
    #[error("[ctx.db.find] invalid 'query'='{value}', must be a nonempty dict")]
    NotQuery { value: String },
    #[error("[ctx.db.find] error getting data from MongoDB: {reason}")]
    NotFound { reason: String },
    #[error(
        "[ctx.prediction.save] invalid value for metric error {value} should be one of 'missing_values,new_labels'"
    )]
    NotMetricError { value: String },
    #[error("[ctx.prediction.save] error saving the prediction: {reason}")]
    NotPredicted { reason: String },
    #[error("[ctx.prediction.update] error saving the true value: {reason}")]
    NotUpdated { reason: String },
}

impl ContextError {
    pub(crate) fn in_init(method: &'static str) -> Self {
        Self::NoRequest { method, place: "in `init`" }
    }

    pub(crate) fn after(method: &'static str) -> Self {
        Self::NoRequest { method, place: "after the handler has returned" }
    }

    /// Refuses an empty text.
    pub(crate) fn require(method: &'static str, argument: &'static str, value: &str) -> Result<(), Self> {
        match value.is_empty() {
            true => Err(Self::NotText { method, argument, value: value.to_owned() }),
            false => Ok(()),
        }
    }
}
