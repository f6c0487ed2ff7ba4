//! The time of day, as the store counts it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}

/// A span in nanoseconds; what does not fit is as long as can be.
pub(crate) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
