//! Presence of nodes: each engine announces its nodes to the ingresses, every second and on each change.

use super::Nats;
use crate::flow::Flow;
use krt_broker::{Error, Listener};
use krt_model::version::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Interval between heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Silence of an engine after which its nodes count as gone.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_millis(3500);

/// Largest heartbeat in bytes, and the most engines known at a time.
const MAX_HEARTBEAT: usize = 64 << 10;
const MAX_ENGINES: usize = 4_096;

/// The heartbeats received.
#[derive(Debug)]
pub(super) struct Presence {
    names: Vec<String>,
    /// By node: the number of engines where it is up.
    up: Vec<AtomicUsize>,
    engines: Mutex<HashMap<String, PeerEngine>>,
}

#[derive(Debug)]
struct PeerEngine {
    received: Instant,
    nodes: HashMap<String, usize>,
}

/// An engine's heartbeat.
#[derive(Debug, Serialize, Deserialize)]
struct Heartbeat {
    engine: String,
    /// The number of processes up, by node.
    nodes: HashMap<String, usize>,
}

impl Heartbeat {
    /// Parses a heartbeat; `None` if it is invalid.
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_HEARTBEAT { None } else { serde_json::from_slice(bytes).ok() }
    }
}

impl Presence {
    pub(super) fn new(version: &Version) -> Self {
        let names: Vec<_> = version.nodes.iter().map(|node| node.name.to_string()).collect();
        Self { up: names.iter().map(|_| AtomicUsize::new(0)).collect(), names, engines: Mutex::default() }
    }

    /// Returns whether a process of the node is up on any engine.
    pub(super) fn is_up(&self, node: usize) -> bool {
        self.up[node].load(Ordering::Acquire) > 0
    }

    /// Returns whether an engine sends heartbeats.
    pub(super) fn knows(&self, engine: &str) -> bool {
        self.lock().contains_key(engine)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, PeerEngine>> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a heartbeat, and forgets silent engines. Returns whether anything changed.
    fn update(&self, heartbeat: Option<Heartbeat>, now: Instant) -> bool {
        let mut engines = self.lock();
        if let Some(heartbeat) = heartbeat
            .filter(|heartbeat| engines.len() < MAX_ENGINES || engines.contains_key(&heartbeat.engine))
        {
            engines.insert(heartbeat.engine, PeerEngine { received: now, nodes: heartbeat.nodes });
        }
        engines.retain(|_, engine| now.saturating_duration_since(engine.received) < SILENCE_TIMEOUT);
        let mut changed = false;
        for (name, up) in self.names.iter().zip(&self.up) {
            let count =
                engines.values().filter(|engine| engine.nodes.get(name).is_some_and(|&it| it > 0)).count();
            changed |= (up.swap(count, Ordering::AcqRel) > 0) != (count > 0);
        }
        changed
    }
}

/// Receives heartbeats, until the task is aborted.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let mut listener = Listener::open(&nats.connection, nats.presence_subject.clone()).await?;
    nats.send_to_engines(&nats.roll_call_subject, Vec::new());
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(HEARTBEAT_INTERVAL);
        loop {
            let heartbeat = tokio::select! {
                received = listener.next() => {
                    let Some(received) = received else { return };
                    Heartbeat::read(&received.body)
                }
                _ = tick.tick() => None,
            };
            if nats.presence.update(heartbeat, Instant::now()) {
                flow.nodes_changed();
            }
        }
    });
    Ok(())
}

/// Sends heartbeats, until the task is aborted; those of an engine that is closing have no nodes.
pub(super) async fn send_heartbeats(
    nats: &Arc<Nats>,
    flow: &Arc<Flow>,
    nodes: Vec<usize>,
    closing: CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let mut roll_call = Listener::open(&nats.connection, nats.roll_call_subject.clone()).await?;
    nats.send_heartbeat(flow, &nodes, true);
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut changed = flow.watch_nodes();
        let mut tick = tokio::time::interval(HEARTBEAT_INTERVAL);
        let mut connected = nats.connection.watch();
        let mut serves = true;
        loop {
            nats.send_heartbeat(&flow, &nodes, serves);
            tokio::select! {
                () = closing.cancelled(), if serves => serves = false,
                Some(_) = roll_call.next() => {}
                _ = tick.tick() => {}
                Ok(()) = changed.changed() => {}
                Ok(()) = connected.changed() => {}
            }
        }
    });
    Ok(())
}

impl Nats {
    fn send_heartbeat(&self, flow: &Flow, nodes: &[usize], serves: bool) {
        let count = |&node: &usize| {
            let queue = flow.queue(node);
            // A message wakes a node that sleeps.
            let up = queue.workers().max(usize::from(queue.is_asleep()));
            (queue.node().to_string(), if serves { up } else { 0 })
        };
        let heartbeat =
            Heartbeat { engine: self.replies.engine().to_owned(), nodes: nodes.iter().map(count).collect() };
        // Cannot fail: texts and numbers are valid JSON.
        let body = serde_json::to_vec(&heartbeat).unwrap_or_default();
        if self.presence.update(Some(heartbeat), Instant::now()) {
            flow.nodes_changed();
        }
        self.send_to_engines(&self.presence_subject, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(engine: &str, up: usize) -> Option<Heartbeat> {
        Some(Heartbeat { engine: engine.to_owned(), nodes: HashMap::from([("etl".to_owned(), up)]) })
    }

    #[test]
    fn a_node_is_up_while_an_engine_reports_it() {
        let presence = Presence {
            names: vec!["etl".to_owned()],
            up: vec![AtomicUsize::new(0)],
            engines: Mutex::default(),
        };
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        for (heartbeat, at, changed, up) in [
            (heartbeat("one", 0), 0, false, false),
            (heartbeat("one", 2), 1, true, true),
            (heartbeat("two", 1), 1, false, true),
            (heartbeat("one", 0), 2, false, true),
            (None, 4, false, true),
            (None, 6, true, false),
        ] {
            assert_eq!(presence.update(heartbeat, later(at)), changed, "at {at}");
            assert_eq!(presence.is_up(0), up, "at {at}");
        }
    }
}
