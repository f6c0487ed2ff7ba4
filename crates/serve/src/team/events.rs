//! Live events. A client that is too slow misses some, and reads the state again.

use krt_api::event::EventKind;
use krt_model::{name::Name, team::State};
use krt_registry::{Timestamp, Version};
use tokio::sync::broadcast;

/// How many events are buffered for a slow client.
const CAPACITY: usize = 256;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What changed.
    pub kind: EventKind,
    /// The runtime.
    pub runtime: Option<String>,
    /// The version in it.
    pub version: Option<String>,
    /// The version's new state.
    pub state: Option<State>,
    /// When it changed.
    pub time: Timestamp,
}

impl Event {
    /// A change that happens now.
    pub fn new(kind: EventKind, runtime: Option<&Name>, version: Option<&Name>) -> Self {
        let text = |name: &Name| name.to_string();
        let (runtime, version) = (runtime.map(text), version.map(text));
        Self { kind, runtime, version, state: None, time: Timestamp::now() }
    }

    pub(super) fn runtime(runtime: &Name) -> Self {
        Self::new(EventKind::Runtime, Some(runtime), None)
    }

    pub(super) fn version(version: &Version) -> Self {
        Self {
            kind: EventKind::Version,
            runtime: Some(version.runtime.clone()),
            version: Some(version.name.clone()),
            state: Some(version.state),
            time: Timestamp::now(),
        }
    }

    pub(super) fn deleted(runtime: &Name, version: Option<&Name>) -> Self {
        Self::new(EventKind::Deleted, Some(runtime), version)
    }
}

/// The subscribers.
#[derive(Debug)]
pub(super) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Events {
    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    pub(super) fn notify(&self, event: Event) {
        // Fails without subscribers.
        let _ = self.0.send(event);
    }
}
