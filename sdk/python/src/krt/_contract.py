"""The names, values and messages that KRT v1 fixes for user code."""

from __future__ import annotations

PRECISION_S = "s"
PRECISION_MS = "ms"
PRECISION_US = "us"
PRECISION_NS = "ns"
NANOSECONDS = {PRECISION_S: 10**9, PRECISION_MS: 10**6, PRECISION_US: 10**3, PRECISION_NS: 1}
"""The nanoseconds in one unit of each precision."""

PREDICTIONS = "classificationMetrics"
"""The collection of predictions."""
UPDATES = "classificationMetricsUpdates"
"""The collection of true values that came after their predictions."""
PREDICTION_DATE = "%Y-%m-%dT%H:%M:%S.%fZ"
ERR_MISSING_VALUES = "missing_values"
ERR_NEW_LABELS = "new_labels"
PREDICTION_ERRORS = (ERR_MISSING_VALUES, ERR_NEW_LABELS)

REPLIED_BEFORE = "error the message was replied previously"
NOT_UTC = "Input date must be a UTC datetime"


def not_text(method: str, argument: str, value: object) -> str:
    """The message for an argument that is empty or not a string."""
    return f"[ctx.{method}] invalid '{argument}'='{value}', must be a nonempty string"


def not_query(value: object) -> str:
    """The message for a query that is empty or not a dict."""
    return f"[ctx.db.find] invalid 'query'='{value}', must be a nonempty dict"


def not_found(reason: str) -> str:
    """The message for a failed search."""
    return f"[ctx.db.find] error getting data from MongoDB: {reason}"


def not_saved(reason: str) -> str:
    """The message for a failed save."""
    return f"[ctx.db.save] error saving the document: {reason}"


def not_a_prediction_error(value: object) -> str:
    """The message for a prediction error that KRT v1 does not define."""
    known = ",".join(PREDICTION_ERRORS)
    return (
        f"[ctx.prediction.save] invalid value for metric error {value} should be one of '{known}'"
    )


def not_predicted(reason: str) -> str:
    """The message for a prediction that was not saved."""
    return f"[ctx.prediction.save] error saving the prediction: {reason}"


def not_updated(reason: str) -> str:
    """The message for a true value that was not saved."""
    return f"[ctx.prediction.update] error saving the true value: {reason}"
