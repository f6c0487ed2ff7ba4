//! The task that sends batches to the server, or to the disk while the server is unavailable.

use super::{
    Batch, Counters,
    client::{Client, Failure},
    spool::Spool,
};
use crate::Address;
use bytes::Bytes;
use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// The wait after the first failure; it doubles with each further one, up to the last.
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The minimum time between two reports of dropped points.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Owns the connection and the spool.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) spool: Spool,
    pub(super) address: Address,
    pub(super) counters: Arc<Counters>,
    /// The number of failures in a row.
    failures: u32,
    retry_at: Instant,
    reported: (u64, Option<Instant>),
    refusal: Option<String>,
}

impl Sender {
    pub(super) fn new(client: Client, spool: Spool, address: Address, counters: Arc<Counters>) -> Self {
        let (failures, refusal) = (0, None);
        Self {
            client,
            spool,
            address,
            counters,
            failures,
            retry_at: Instant::now(),
            reported: (0, None),
            refusal,
        }
    }

    /// Sends batches until the channel closes.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        self.count_waiting();
        loop {
            tokio::select! {
                // While the server is unavailable, new batches go to the disk at once, so they come first.
                biased;
                batch = batches.recv() => match batch {
                    Some(batch) => self.send_batch(batch).await,
                    None => break,
                },
                () = tokio::time::sleep_until(self.retry_at), if !self.spool.is_empty() => self.send_oldest().await,
            }
            self.count_waiting();
            self.report(false);
        }
        self.report(true);
        if !self.spool.is_empty() {
            let (address, points) = (&self.address, self.spool.points());
            tracing::warn!(
                points,
                "measurements wait on disk for InfluxDB at `{address}` and the next start"
            );
        }
    }

    fn count_waiting(&self) {
        self.counters.waiting.store(self.spool.points(), Relaxed);
    }

    fn set_away(&self, reason: Option<String>) {
        *self.counters.away.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    async fn send_batch(&mut self, batch: Batch) {
        let lines = Bytes::from(batch.lines);
        if self.spool.is_empty() && Instant::now() >= self.retry_at {
            match self.client.write(lines.clone()).await {
                Ok(()) => return self.on_success(batch.points),
                Err(Failure::Refused { points, reason }) => {
                    return self.refused(batch.points, points, reason);
                }
                Err(Failure::Away { reason }) => self.on_failure(&reason),
            }
        }
        match self.spool.push(&lines, batch.points) {
            Ok(given_way) => self.drop_counted(given_way, || "the disk space for them is full".to_owned()),
            Err(error) => self.drop_counted(batch.points, || format!("they cannot wait on disk: {error}")),
        }
    }

    async fn send_oldest(&mut self) {
        match self.try_oldest().await {
            Ok(()) => {}
            // A file that cannot be read or deleted would be retried for ever.
            Err(error) => {
                let points = self.spool.remove_oldest().unwrap_or_default();
                self.drop_counted(points, || format!("the disk does not give them back: {error}"));
            }
        }
    }

    async fn try_oldest(&mut self) -> io::Result<()> {
        let Some((lines, count)) = self.spool.oldest()? else { return Ok(()) };
        match self.client.write(lines).await {
            Ok(()) => self.on_success(count),
            Err(Failure::Refused { points, reason }) => self.refused(count, points, reason),
            Err(Failure::Away { reason }) => {
                self.on_failure(&reason);
                return Ok(());
            }
        }
        self.spool.remove_oldest()?;
        Ok(())
    }

    fn on_success(&mut self, points: u64) {
        if self.failures > 0 {
            tracing::info!("InfluxDB at `{}` takes measurements again", self.address);
            self.failures = 0;
            self.set_away(None);
        }
        self.counters.written.fetch_add(points, Relaxed);
    }

    /// Handles points that the server refused; it has the others.
    fn refused(&mut self, count: u64, refused: Option<u64>, reason: String) {
        let refused = refused.unwrap_or(count).min(count);
        self.on_success(count - refused);
        self.drop_counted(refused, || reason);
    }

    fn on_failure(&mut self, reason: &str) {
        if self.failures == 0 {
            tracing::warn!(reason, "InfluxDB at `{}` takes no measurements: they wait on disk", self.address);
        }
        self.set_away(Some(reason.to_owned()));
        self.retry_at = Instant::now() + wait(self.failures);
        self.failures = self.failures.saturating_add(1);
    }

    fn drop_counted(&mut self, points: u64, reason: impl FnOnce() -> String) {
        if points > 0 {
            self.counters.dropped.fetch_add(points, Relaxed);
            self.refusal = Some(reason());
        }
    }

    /// Reports drops since the last report; every few seconds at most, except for the `last` time.
    fn report(&mut self, last: bool) {
        let (before, at) = self.reported;
        let dropped = self.counters.dropped.load(Relaxed);
        if dropped == before || !last && at.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        let reason = self.refusal.take().unwrap_or_else(|| "too many at once".to_owned());
        tracing::warn!(points = dropped - before, reason, "measurements for InfluxDB were dropped");
        self.reported = (dropped, Some(Instant::now()));
    }
}

/// The wait after this many failures, with jitter so that engines do not retry in step.
fn wait(failures: u32) -> Duration {
    let whole = INITIAL_BACKOFF.saturating_mul(2_u32.saturating_pow(failures)).min(MAX_BACKOFF);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit() {
        for (failures, most) in [(0, 0.5), (1, 1.0), (3, 4.0), (6, 30.0), (u32::MAX, 30.0)] {
            let seconds = wait(failures).as_secs_f64();
            assert!((most / 2.0..=most).contains(&seconds), "{failures}: {seconds}");
        }
    }
}
