//! What changes, told live. Who cannot keep up misses some, and reads anew.

use krt_model::name::Name;
use krt_registry::{Moment, State, Version};
use serde::Serialize;
use tokio::sync::broadcast;

/// How many events wait for who is slow.
const WAITING: usize = 256;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// Of which runtime.
    pub runtime: Option<String>,
    /// Which version of it.
    pub version: Option<String>,
    /// What the version is now.
    pub state: Option<State>,
    /// When.
    pub time: Moment,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A runtime.
    Runtime,
    /// A version.
    Version,
    /// A version's configuration.
    Config,
    /// A board.
    Board,
    /// A user.
    User,
    /// A token.
    Token,
    /// A runtime or a version is gone.
    Deleted,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Version => "version",
            Self::Config => "config",
            Self::Board => "board",
            Self::User => "user",
            Self::Token => "token",
            Self::Deleted => "deleted",
        }
    }
}

impl Event {
    /// Something changed.
    pub fn new(kind: Kind, runtime: Option<&Name>, version: Option<&Name>) -> Self {
        let text = |name: &Name| name.to_string();
        let (runtime, version) = (runtime.map(text), version.map(text));
        Self { kind, runtime, version, state: None, time: Moment::now() }
    }

    pub(super) fn runtime(runtime: &Name) -> Self {
        Self::new(Kind::Runtime, Some(runtime), None)
    }

    pub(super) fn version(version: &Version) -> Self {
        Self {
            kind: Kind::Version,
            runtime: Some(version.runtime.clone()),
            version: Some(version.name.clone()),
            state: Some(version.state),
            time: Moment::now(),
        }
    }

    pub(super) fn deleted(runtime: &Name, version: Option<&Name>) -> Self {
        Self::new(Kind::Deleted, Some(runtime), version)
    }
}

/// Those who listen.
#[derive(Debug)]
pub(super) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Events {
    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    pub(super) fn tell(&self, event: Event) {
        // Fails when nobody listens.
        let _ = self.0.send(event);
    }
}
