//! How a store is opened: intervals, limits, retention.

use std::time::Duration;

/// How a store keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long measurements, logs and requests are kept.
    pub retention: Retention,
    /// How long documents, and so predictions, are kept. `None`, the default: for ever. They are
    /// the user's own records and are never removed for their size.
    pub document_age: Option<Duration>,
    /// How long measurements, logs and requests wait for others before they are written together; what a
    /// killed process loses of them at most.
    pub flush_interval: Duration,
    /// How much memory measurements, and as much again logs, and requests, may take while they wait, bytes.
    pub buffer: usize,
    /// The size neither database file grows past, bytes. `None`, the default: as large as the disk.
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

/// When measurements, logs and requests are removed, the oldest first: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The age they may reach. `None`: any.
    pub age: Option<Duration>,
    /// The size of all together on disk, bytes. `None`: any.
    pub size: Option<u64>,
    /// The size of the requests alone, bytes. Half of it is for those that failed or were slow, so that these are not
    /// lost in a crowd of others.
    pub requests: u64,
}

impl Default for Retention {
    /// 7 days and 1 GiB, of which 64 MiB for requests: some 200,000 with three handlers each, and as many notable ones.
    fn default() -> Self {
        Self { age: Some(Duration::from_secs(7 * 24 * 60 * 60)), size: Some(1 << 30), requests: 64 << 20 }
    }
}
