//! Requests that nobody waits for any more: their door tells all engines, which stop their work.

use super::Nats;
use crate::flow::{Flow, Request};
use krt_broker::{Error, Listener};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How many ids are remembered, for messages that come after the word that nobody waits for them.
const REMEMBERED: usize = 16 << 10;
/// How often deadlines are looked at, should no word come.
const TICK: Duration = Duration::from_millis(250);

/// What is in work here for doors elsewhere, and what of it nobody waits for.
#[derive(Debug, Default)]
pub(super) struct Cancelled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_work: HashMap<Arc<str>, Vec<Weak<Request>>>,
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
        if self.oldest.len() > REMEMBERED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.cancelled.remove(&oldest);
        }
    }

    fn of(&mut self, id: &str) -> Vec<Arc<Request>> {
        self.in_work.remove(id).unwrap_or_default().iter().filter_map(Weak::upgrade).collect()
    }

    /// Requests whose time is over; forgets those that have ended.
    fn overdue(&mut self, now: Instant) -> Vec<Arc<Request>> {
        let mut overdue = Vec::new();
        self.in_work.retain(|_, requests| {
            requests.retain(|request| request.strong_count() > 0);
            let live = requests.iter().filter_map(Weak::upgrade);
            overdue
                .extend(live.filter(|request| request.deadline.is_some_and(|deadline| deadline.at <= now)));
            !requests.is_empty()
        });
        overdue
    }
}

impl Cancelled {
    /// A request is in work here.
    pub(super) fn watch(&self, request: &Arc<Request>) {
        let mut state = self.lock();
        state.in_work.entry(Arc::clone(&request.id)).or_default().push(Arc::downgrade(request));
    }

    /// Whether it was said that nobody waits for a request.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.lock().cancelled.contains(id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the work that nobody waits for, until it is stopped.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let mut listener = Listener::open(&nats.connection, nats.cancel_subject.clone()).await?;
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let stopped = tokio::select! {
                heard = listener.next() => {
                    let Some(heard) = heard else { return };
                    let Ok(id) = std::str::from_utf8(&heard.body) else { continue };
                    let mut state = nats.cancelled.lock();
                    state.remember(id);
                    state.of(id)
                }
                _ = tick.tick() => nats.cancelled.lock().overdue(Instant::now()),
            };
            for request in stopped.iter().filter(|request| !request.replied()) {
                flow.stop(request);
            }
        }
    });
    Ok(())
}
