//! Turns away clients when there are too many connections or no file descriptors left.
//!
//! The last descriptors are kept for the service itself: restarted workers, its database, the dashboard. A
//! new descriptor is always the lowest free one, so its number shows how many are left. A surplus client gets
//! one answer and is disconnected. If even that is impossible, its connection is accepted and closed, so that
//! it does not wait in vain.

use super::peer::Excess;
use crate::descriptors;
use futures::FutureExt as _;
use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Surplus clients answered at a time: one per so many reserved descriptors, and the minimum.
const ANSWERED_AT_ONCE: (usize, usize) = (4, 4);
/// How long such a client may be silent, and how long its answer may take.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the next one waits for a permit before it is closed without an answer.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections served however few descriptors are left.
const MIN_CONNECTIONS: usize = 4;
/// Interval between warnings.
const WARN_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Clients accepted and closed between two pauses.
const MAX_CLOSED: usize = 32;

/// The descriptors that a port leaves to others: one in `share`, at most `max`.
#[derive(Debug, Clone, Copy)]
pub struct DescriptorReserve {
    share: u64,
    max: u64,
}

impl DescriptorReserve {
    /// For a port with any number of clients.
    pub const CLIENTS: Self = Self { share: 4, max: 64 };
    /// For a management port, which still answers when clients have used up their part.
    pub const MANAGEMENT: Self = Self { share: 8, max: 32 };

    fn of(self, limit: u64) -> u64 {
        (limit / self.share).min(self.max)
    }
}

/// Counts the descriptors left, and logs the clients turned away.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    /// The number of descriptors, and how many of them are reserved.
    limit: u64,
    reserved: u64,
    /// Connections that may be open.
    connections: usize,
    permits: Arc<Semaphore>,
    /// Closed to accept a client when no other descriptor is left.
    emergency: Option<File>,
    rejected: u64,
    last_warning: Option<Instant>,
}

impl ConnectionLimiter {
    pub(super) fn new(reserved: DescriptorReserve, connections: usize) -> Self {
        let limit = descriptors::limit();
        let reserved = reserved.of(limit);
        let (part, least) = ANSWERED_AT_ONCE;
        let permits = usize::try_from(reserved).unwrap_or(usize::MAX) / part;
        Self {
            limit,
            reserved,
            connections,
            permits: Arc::new(Semaphore::new(permits.max(least))),
            emergency: emergency(),
            rejected: 0,
            last_warning: None,
        }
    }

    /// Returns why there is no room for a connection besides `open` others, or `None` if there is.
    pub(super) fn excess(&self, socket: &TcpStream, open: usize) -> Option<Excess> {
        let number = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
        if open >= MIN_CONNECTIONS && is_among_last(number, self.limit, self.reserved) {
            Some(Excess::Descriptors)
        } else {
            (open >= self.connections).then_some(Excess::Connections(self.connections))
        }
    }

    /// Waits for a permit to answer a client; `None` if it should be closed instead.
    pub(super) async fn acquire(&mut self, excess: Excess) -> Option<OwnedSemaphorePermit> {
        self.warn(excess);
        let permit = tokio::time::timeout(QUEUE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        permit.ok()?.ok()
    }

    /// Gives a client its one answer, if it sends anything in time.
    pub(super) async fn answer<T>(
        _permit: OwnedSemaphorePermit,
        socket: TcpStream,
        answer: impl AsyncFnOnce(TcpStream) -> T,
    ) {
        if let Ok(Ok(1..)) = tokio::time::timeout(READ_TIMEOUT, socket.peek(&mut [0])).await {
            // The client is disconnected, whatever the result.
            let _ = tokio::time::timeout(ANSWER_TIMEOUT, answer(socket)).await;
        }
    }

    /// Handles a failure to accept a connection.
    pub(super) async fn not_accepted(&mut self, listener: &TcpListener, error: &io::Error) {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::CONNABORTED | Errno::CONNRESET | Errno::INTR) => return,
            Some(Errno::MFILE | Errno::NFILE) => {
                self.close_some(listener);
                self.warn(Excess::Descriptors);
            }
            _ => tracing::warn!("a connection was not accepted: {error}"),
        }
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }

    /// Accepts clients with the spare descriptor and closes them.
    fn close_some(&mut self, listener: &TcpListener) {
        self.emergency = None;
        for _ in 0..MAX_CLOSED {
            match listener.accept().now_or_never() {
                Some(Ok(_)) => self.rejected += 1,
                Some(Err(_)) | None => break,
            }
        }
        self.emergency = emergency();
    }

    fn warn(&mut self, excess: Excess) {
        self.rejected += 1;
        let now = Instant::now();
        if self
            .last_warning
            .is_some_and(|last_warning| now.saturating_duration_since(last_warning) < WARN_INTERVAL)
        {
            return;
        }
        self.last_warning = Some(now);
        let (count, limit) = (std::mem::take(&mut self.rejected), self.limit);
        match excess {
            Excess::Descriptors => tracing::warn!(
                hint = %"raise it with `ulimit -n`, LimitNOFILE= of a systemd unit or --ulimit of a container",
                "no file descriptors are left for more clients, {count} rejected: the limit is {limit}"
            ),
            Excess::Connections(most) => tracing::warn!(
                hint = %"raise it with --max-connections",
                "too many connections, {count} rejected: the limit is {most}"
            ),
        }
    }
}

/// Returns whether a descriptor is among the last ones.
fn is_among_last(number: u64, limit: u64, reserved: u64) -> bool {
    number >= limit.saturating_sub(reserved)
}

fn emergency() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_reserved() {
        for (limit, clients, people) in
            [(64, 48, 56), (256, 192, 224), (1024, 960, 992), (1 << 20, (1 << 20) - 64, (1 << 20) - 32)]
        {
            for (reserved, first) in
                [(DescriptorReserve::CLIENTS, clients), (DescriptorReserve::MANAGEMENT, people)]
            {
                let reserved = reserved.of(limit);
                assert!(!is_among_last(first - 1, limit, reserved), "{limit} {reserved}");
                assert!(is_among_last(first, limit, reserved), "{limit} {reserved}");
            }
        }
    }
}
