//! Cancelled requests: an ingress announces them to all engines, which stop the work.

use super::Nats;
use crate::flow::{Flow, Request};
use krt_broker::{Error, Listener};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Ids remembered, for messages that arrive after their cancellation.
const MAX_REMEMBERED: usize = 16 << 10;
/// Longest id, in bytes.
const MAX_ID: usize = 512;
/// Interval between checks of deadlines, without a cancellation.
const TICK: Duration = Duration::from_millis(250);

/// The work in flight for other ingresses, and which of it is cancelled.
#[derive(Debug, Default)]
pub(super) struct Cancellations(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_flight: HashMap<Arc<str>, Vec<Weak<Request>>>,
    cancelled: HashSet<Arc<str>>,
    oldest: VecDeque<Arc<str>>,
}

impl State {
    fn remember(&mut self, id: &str) {
        let id: Arc<str> = id.into();
        if !self.cancelled.insert(Arc::clone(&id)) {
            return;
        }
        self.oldest.push_back(id);
        if self.oldest.len() > MAX_REMEMBERED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.cancelled.remove(&oldest);
        }
    }

    fn of(&mut self, id: &str) -> Vec<Arc<Request>> {
        self.in_flight.remove(id).unwrap_or_default().iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns the requests past their deadline, and forgets those that have ended.
    fn overdue(&mut self, now: Instant) -> Vec<Arc<Request>> {
        let mut overdue = Vec::new();
        self.in_flight.retain(|_, requests| {
            requests.retain(|request| request.strong_count() > 0);
            let live = requests.iter().filter_map(Weak::upgrade);
            overdue
                .extend(live.filter(|request| request.deadline.is_some_and(|deadline| deadline.at <= now)));
            !requests.is_empty()
        });
        overdue
    }
}

impl Cancellations {
    /// Watches a request that is in flight here.
    pub(super) fn watch(&self, request: &Arc<Request>) {
        let mut state = self.lock();
        state.in_flight.entry(Arc::clone(&request.id)).or_default().push(Arc::downgrade(request));
    }

    /// Returns whether a request has been cancelled.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.lock().cancelled.contains(id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops cancelled work, until the task is aborted.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let mut listener = Listener::open(&nats.connection, nats.cancel_subject.clone()).await?;
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let (stopped, announced) = tokio::select! {
                received = listener.next() => {
                    let Some(received) = received else { return };
                    let id = std::str::from_utf8(&received.body).ok().filter(|id| id.len() <= MAX_ID);
                    let Some(id) = id else { continue };
                    let mut state = nats.cancelled.lock();
                    state.remember(id);
                    (state.of(id), true)
                }
                _ = tick.tick() => (nats.cancelled.lock().overdue(Instant::now()), false),
            };
            for request in stopped.iter().filter(|request| !request.replied()) {
                flow.stop(request);
                // Its ingress still waits for what it led to.
                if announced {
                    nats.report(request);
                }
            }
        }
    });
    Ok(())
}
