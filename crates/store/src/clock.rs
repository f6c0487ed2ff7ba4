//! The store's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time, in nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}

/// A duration in nanoseconds, saturating.
pub(crate) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
