//! Sends requests: as soon as earlier ones are answered, or at a rate.

use super::tally::{Outcome, Tally};
use crate::client::Client;
use bytes::Bytes;
use prost_reflect::MethodDescriptor;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The most requests of a rate that wait for their answers.
const MAX_WAITING: usize = 10_000;

/// What decides when requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::commands) enum Pace {
    /// So many clients each send the next request when they have an answer.
    Clients(usize),
    /// So many requests are due in a second, at times that depend on nothing, as those of many users (a Poisson process).
    Rate(f64),
}

/// A server, and what to send to it.
#[derive(Debug)]
pub(in crate::commands) struct Target {
    /// The connections, used in turn.
    pub(in crate::commands) connections: Vec<Client>,
    pub(in crate::commands) method: MethodDescriptor,
    /// Encoded messages, sent in turn.
    pub(in crate::commands) requests: Arc<[Bytes]>,
    pub(in crate::commands) timeout: Duration,
}

/// How long requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Length {
    Time(Duration),
    Requests(u64),
}

/// Why requests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum End {
    Done,
    Interrupted,
    /// [`MAX_WAITING`] requests waited: the server answers fewer than are due.
    Overloaded,
}

/// A time in which requests are sent and counted.
#[derive(Debug)]
struct Window {
    target: Arc<Target>,
    begun: Instant,
    end: Option<Instant>,
    /// The requests left to send.
    left: AtomicU64,
    next: AtomicU64,
    tally: Arc<Mutex<Tally>>,
}

impl Target {
    /// Sends requests, and adds what they come to. Returns when all have ended, or at once if `stop` is cancelled.
    pub(in crate::commands) async fn send(
        self: &Arc<Self>,
        pace: Pace,
        length: Length,
        tally: &Arc<Mutex<Tally>>,
        stop: &CancellationToken,
    ) -> End {
        let begun = Instant::now();
        let (end, left) = match length {
            Length::Time(time) => (Some(begun + time), u64::MAX),
            Length::Requests(count) => (None, count),
        };
        lock(tally).resume(begun);
        let window = Arc::new(Window {
            target: Arc::clone(self),
            begun,
            end,
            left: AtomicU64::new(left),
            next: AtomicU64::new(0),
            tally: Arc::clone(tally),
        });
        let sent = async {
            match pace {
                Pace::Clients(clients) => clients_send(&window, clients).await,
                Pace::Rate(rate) => send_at(&window, rate, stop).await,
            }
        };
        let ended = tokio::select! {
            ended = sent => ended,
            () = stop.cancelled() => End::Interrupted,
        };
        let now = Instant::now();
        lock(tally).pause(window.end.map_or(now, |end| end.min(now)));
        ended
    }

    async fn call(&self, number: u64) -> Outcome {
        let index = |length: usize| usize::try_from(number).unwrap_or(usize::MAX) % length;
        let client = &self.connections[index(self.connections.len())];
        let request = self.requests[index(self.requests.len())].clone();
        let answered = if self.method.is_server_streaming() {
            self.stream(client, request).await
        } else {
            let answer = client.call(&self.method, request, Some(self.timeout)).await;
            answer.map(|_| Outcome::Answered { first: None, messages: 0 })
        };
        answered.unwrap_or_else(Outcome::Failed)
    }

    async fn stream(&self, client: &Client, request: Bytes) -> Result<Outcome, Status> {
        let begun = Instant::now();
        let mut stream = client.stream(&self.method, request, Some(self.timeout)).await?;
        let (mut first, mut messages) = (None, 0);
        while stream.next().await?.is_some() {
            first.get_or_insert_with(|| begun.elapsed());
            messages += 1;
        }
        Ok(Outcome::Answered { first, messages })
    }
}

impl Window {
    /// Takes the number of the next request; `None` if no more are to be sent.
    fn take(&self, due: Instant) -> Option<u64> {
        let in_time = self.end.is_none_or(|end| due < end);
        let taken = in_time
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok();
        taken.then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request that is due at `due`, and counts what it comes to.
    async fn request(&self, number: u64, due: Instant) {
        let outcome = self.target.call(number).await;
        let in_window = self.end.is_none_or(|end| Instant::now() < end);
        lock(&self.tally).record(due, outcome, in_window);
    }
}

async fn clients_send(window: &Arc<Window>, clients: usize) -> End {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let window = Arc::clone(window);
        tasks.spawn(async move {
            loop {
                let now = Instant::now();
                let Some(number) = window.take(now) else { return };
                window.request(number, now).await;
            }
        });
    }
    tasks.join_all().await;
    End::Done
}

/// Sends from a thread, since timers of tasks are exact to a millisecond only.
async fn send_at(window: &Arc<Window>, rate: f64, stop: &CancellationToken) -> End {
    let (window, stop, runtime) = (Arc::clone(window), stop.clone(), Handle::current());
    let sending = tokio::task::spawn_blocking(move || {
        let (mut tasks, mut random, mut due) = (JoinSet::new(), fastrand::Rng::new(), window.begun);
        loop {
            due += pause(rate, random.f64());
            let Some(number) = window.take(due) else { return (tasks, End::Done) };
            thread::sleep(due.saturating_duration_since(Instant::now()));
            while tasks.try_join_next().is_some() {}
            if stop.is_cancelled() {
                return (tasks, End::Interrupted);
            }
            if tasks.len() >= MAX_WAITING {
                return (tasks, End::Overloaded);
            }
            let window = Arc::clone(&window);
            tasks.spawn_on(async move { window.request(number, due).await }, &runtime);
        }
    });
    let (tasks, end) = sending.await.expect("the thread does not panic");
    if end == End::Done {
        tasks.join_all().await;
    }
    end
}

/// The time between two requests of a Poisson process, of a number from 0 up to 1.
fn pause(rate: f64, uniform: f64) -> Duration {
    Duration::from_secs_f64(-(1.0 - uniform).ln() / rate)
}

pub(in crate::commands) fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_have_the_mean_and_the_spread_of_a_poisson_process() {
        let mut random = fastrand::Rng::with_seed(3);
        let pauses: Vec<f64> = (0..20_000).map(|_| pause(50.0, random.f64()).as_secs_f64()).collect();
        let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
        let squares: f64 = pauses.iter().map(|pause| (pause - mean).powi(2)).sum();
        let deviation = (squares / pauses.len() as f64).sqrt();
        assert!(
            (mean * 50.0 - 1.0).abs() < 0.03 && (deviation * 50.0 - 1.0).abs() < 0.05,
            "{mean} {deviation}"
        );
        assert_eq!(pause(50.0, 0.0), Duration::ZERO);
    }
}
