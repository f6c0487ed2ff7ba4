//! Which nodes are up on which engine: each tells the doors, every second and whenever that changes.

use super::Nats;
use crate::flow::Flow;
use krt_broker::{Error, Listener};
use krt_model::version::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);
/// How long nothing is heard of an engine before its nodes count as gone.
const SILENCE: Duration = Duration::from_millis(3500);

/// What was heard.
#[derive(Debug)]
pub(super) struct Presence {
    names: Vec<String>,
    /// By node: on how many engines it is up.
    up: Vec<AtomicUsize>,
    engines: Mutex<HashMap<String, Engine>>,
}

#[derive(Debug)]
struct Engine {
    heard: Instant,
    nodes: HashMap<String, usize>,
}

/// What an engine tells.
#[derive(Debug, Serialize, Deserialize)]
struct Word {
    engine: String,
    /// How many processes of each node are up.
    nodes: HashMap<String, usize>,
}

impl Presence {
    pub(super) fn new(version: &Version) -> Self {
        let names: Vec<_> = version.nodes.iter().map(|node| node.name.to_string()).collect();
        Self { up: names.iter().map(|_| AtomicUsize::new(0)).collect(), names, engines: Mutex::default() }
    }

    /// Whether a process of the node is up somewhere.
    pub(super) fn is_up(&self, node: usize) -> bool {
        self.up[node].load(Ordering::Acquire) > 0
    }

    /// Takes in what an engine told, and forgets those that tell nothing. Whether something changed.
    fn update(&self, word: Option<Word>, now: Instant) -> bool {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(word) = word {
            engines.insert(word.engine, Engine { heard: now, nodes: word.nodes });
        }
        engines.retain(|_, engine| now.saturating_duration_since(engine.heard) < SILENCE);
        let mut changed = false;
        for (name, up) in self.names.iter().zip(&self.up) {
            let count =
                engines.values().filter(|engine| engine.nodes.get(name).is_some_and(|&it| it > 0)).count();
            changed |= (up.swap(count, Ordering::AcqRel) > 0) != (count > 0);
        }
        changed
    }
}

/// Hears of nodes, until it is stopped.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let mut listener = Listener::open(&nats.connection, nats.presence_subject.clone()).await?;
    nats.tell_aside(&nats.roll_call_subject, Vec::new());
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            let word = tokio::select! {
                heard = listener.next() => {
                    let Some(heard) = heard else { return };
                    serde_json::from_slice(&heard.body).ok()
                }
                _ = tick.tick() => None,
            };
            if nats.presence.update(word, Instant::now()) {
                flow.nodes_changed();
            }
        }
    });
    Ok(())
}

/// Tells which of this engine's nodes are up, until it is closing; at last that none is.
pub(super) async fn tell(
    nats: &Arc<Nats>,
    flow: &Arc<Flow>,
    nodes: Vec<usize>,
    closing: CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let mut roll_call = Listener::open(&nats.connection, nats.roll_call_subject.clone()).await?;
    nats.tell_presence(flow, &nodes, true);
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        let mut changed = flow.watch_nodes();
        let mut tick = tokio::time::interval(EVERY);
        let mut connected = nats.connection.watch();
        loop {
            nats.tell_presence(&flow, &nodes, true);
            tokio::select! {
                () = closing.cancelled() => break,
                Some(_) = roll_call.next() => {}
                _ = tick.tick() => {}
                Ok(()) = changed.changed() => {}
                Ok(()) = connected.changed() => {}
            }
        }
        nats.tell_presence(&flow, &nodes, false);
    });
    Ok(())
}

impl Nats {
    fn tell_presence(&self, flow: &Flow, nodes: &[usize], serves: bool) {
        let count = |&node: &usize| {
            let desk = flow.desk(node);
            (desk.node().to_string(), if serves { desk.hosts() } else { 0 })
        };
        let word =
            Word { engine: self.waiting.engine().to_owned(), nodes: nodes.iter().map(count).collect() };
        // Texts and numbers become JSON.
        let body = serde_json::to_vec(&word).unwrap_or_default();
        if self.presence.update(Some(word), Instant::now()) {
            flow.nodes_changed();
        }
        self.tell_aside(&self.presence_subject, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(engine: &str, up: usize) -> Option<Word> {
        Some(Word { engine: engine.to_owned(), nodes: HashMap::from([("etl".to_owned(), up)]) })
    }

    #[test]
    fn a_node_is_up_while_an_engine_says_so() {
        let presence = Presence {
            names: vec!["etl".to_owned()],
            up: vec![AtomicUsize::new(0)],
            engines: Mutex::default(),
        };
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        for (told, at, changed, up) in [
            (word("one", 0), 0, false, false),
            (word("one", 2), 1, true, true),
            (word("two", 1), 1, false, true),
            (word("one", 0), 2, false, true),
            (None, 4, false, true),
            (None, 6, true, false),
        ] {
            assert_eq!(presence.update(told, later(at)), changed, "at {at}");
            assert_eq!(presence.is_up(0), up, "at {at}");
        }
    }
}
