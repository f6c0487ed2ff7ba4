//! The path of measurements, logs and requests to the database.
//!
//! - [`notifier`]: wakes the writer.
//! - [`batch`]: the writer's data between two commits.
//! - [`requests`]: the requests in it.
//! - [`writer`]: the thread that writes.
//! - [`sink`]: an alternative target for points.
//! - [`retention`]: deletes data beyond age or size.

mod batch;
mod notifier;
mod requests;
mod retention;
mod sink;
mod writer;

pub use sink::Sink;
pub(crate) use writer::Writer;

use crate::{
    intake::{Intake, PushOutcome},
    log::{LogRecord, put_record},
    request::put_request,
};
use krt_model::request::RequestRecord;
use notifier::Notifier;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};
use tokio::sync::oneshot;

/// The state shared by callers and the writer.
#[derive(Debug)]
pub(crate) struct Telemetry {
    points: Intake,
    logs: Intake,
    requests: Intake,
    notifier: Notifier,
    closed: AtomicBool,
    points_written: AtomicU64,
    logs_written: AtomicU64,
    requests_written: AtomicU64,
}

/// Counts of measurements, logs and requests since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Points in the database, or taken by the sink.
    pub points_written: u64,
    /// Points dropped because the buffer was full or the write failed.
    pub points_dropped: u64,
    /// Log records in the database.
    pub logs_written: u64,
    /// Log records dropped because the buffer was full or the write failed.
    pub logs_dropped: u64,
    /// Requests in the database.
    pub requests_written: u64,
    /// Requests dropped because the buffer was full or the write failed.
    pub requests_dropped: u64,
}

impl Telemetry {
    /// Buffers of `size` bytes each.
    pub(crate) fn new(size: usize) -> Self {
        let shards = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
        Self {
            points: Intake::new(shards, size),
            // A single shard keeps records in order of arrival.
            logs: Intake::new(1, size),
            requests: Intake::new(shards, size),
            notifier: Notifier::default(),
            closed: AtomicBool::new(false),
            points_written: AtomicU64::new(0),
            logs_written: AtomicU64::new(0),
            requests_written: AtomicU64::new(0),
        }
    }

    /// Lets `encode` append one point.
    pub(crate) fn measure(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.push(&self.points, encode);
    }

    pub(crate) fn log(&self, record: &LogRecord<'_>) {
        self.push(&self.logs, |out| put_record(out, record));
    }

    pub(crate) fn request(&self, request: &RequestRecord) {
        self.push(&self.requests, |out| put_request(out, request));
    }

    fn push(&self, intake: &Intake, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.closed.load(Relaxed) {
            intake.drop_counted(1);
            return;
        }
        match intake.push(encode) {
            PushOutcome::Waits | PushOutcome::Dropped => {}
            PushOutcome::First => self.notifier.ring(|calls| calls.first = true),
            PushOutcome::Urgent => self.notifier.ring(|calls| calls.urgent = true),
        }
    }

    /// Asks the writer to write what waits; the receiver resolves once it has, or has ended.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.notifier.ring(|calls| calls.flushes.push(done));
        receiver
    }

    pub(crate) fn close(&self) {
        self.notifier.ring(|calls| calls.close = true);
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            points_written: self.points_written.load(Relaxed),
            points_dropped: self.points.dropped(),
            logs_written: self.logs_written.load(Relaxed),
            logs_dropped: self.logs.dropped(),
            requests_written: self.requests_written.load(Relaxed),
            requests_dropped: self.requests.dropped(),
        }
    }
}
