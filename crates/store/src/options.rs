//! Options of a store: intervals, limits, retention.

use std::time::Duration;

/// The options of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The retention of measurements, logs and requests.
    pub retention: Retention,
    /// The retention of documents, and so of predictions. `None`, the default: for ever. They are the user's
    /// own records and are never deleted for their size.
    pub document_age: Option<Duration>,
    /// How long measurements, logs and requests wait to be written together; a killed process loses at most
    /// these.
    pub flush_interval: Duration,
    /// The memory of waiting measurements, in bytes; logs and requests get as much again each.
    pub buffer: usize,
    /// The largest size of each database file, in bytes. `None`, the default: as large as the disk.
    pub file_limit: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            document_age: None,
            flush_interval: Duration::from_secs(1),
            buffer: 8 << 20,
            file_limit: None,
        }
    }
}

/// The limits of measurements, logs and requests: beyond any of them, the oldest are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The greatest age. `None`: any.
    pub age: Option<Duration>,
    /// The size of all together on disk, in bytes. `None`: any.
    pub size: Option<u64>,
    /// The size of the requests alone, in bytes. Half of it is for failed and slow ones, so that a crowd of
    /// others does not displace them.
    pub requests: u64,
}

impl Default for Retention {
    /// 7 days and 1 GiB, including 64 MiB for requests: some 200,000 with three handlers each, and as many
    /// notable ones.
    fn default() -> Self {
        Self { age: Some(Duration::from_secs(7 * 24 * 60 * 60)), size: Some(1 << 30), requests: 64 << 20 }
    }
}
