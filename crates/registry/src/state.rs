//! The states of a version, and the transitions between them.
//!
//! Each state stands beside the wanted one: a version that is STARTING becomes STARTED, or PUBLISHED where
//! that is wanted. So a restart of the server, and a rollback to a stopped version, need no list of pending
//! work.

use crate::text::texts;

/// The state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Uploaded, never started.
    Created,
    /// Its nodes are being started.
    Starting,
    /// It runs, for holders of a token.
    Started,
    /// It runs, for all clients of its runtime.
    Published,
    /// It finishes what is in flight, and ends.
    Stopping,
    /// It does not run.
    Stopped,
    /// It failed; its reasons say why.
    Error,
}

texts!(State {
    Created = "CREATED",
    Starting = "STARTING",
    Started = "STARTED",
    Published = "PUBLISHED",
    Stopping = "STOPPING",
    Stopped = "STOPPED",
    Error = "ERROR",
});

/// The wanted state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Not running.
    Stopped,
    /// Running.
    Started,
    /// Running, for all clients of its runtime.
    Published,
}

texts!(Wanted { Stopped = "stopped", Started = "started", Published = "published" });

/// An action on a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Route its runtime's clients to it.
    Publish,
    /// Stop routing them to it.
    Unpublish,
    /// Delete it.
    Delete,
}

texts!(Ask {
    Start = "start",
    Stop = "stop",
    Publish = "publish",
    Unpublish = "unpublish",
    Delete = "delete"
});

/// An event of a version's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// All its nodes are ready.
    Ready,
    /// It failed to start, or while it ran.
    Failed,
    /// It has ended.
    Ended,
    /// Another version of its runtime was published.
    Replaced,
    /// A rollback publishes it again, whether it runs or not.
    RolledBack,
    /// The server starts, and nothing runs yet.
    Boot,
}

/// A version's state and wanted state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionStatus {
    /// The state.
    pub state: State,
    /// The wanted state.
    pub wanted: Wanted,
}

/// The state does not allow an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {ask} a version that is {state}{}", hint(*.state, *.ask))]
pub struct Refused {
    /// The action.
    pub ask: Ask,
    /// The version's state.
    pub state: State,
}

fn hint(state: State, ask: Ask) -> &'static str {
    match (ask, state) {
        (Ask::Publish, State::Created | State::Stopped | State::Error) => "\nhint: start it first",
        (Ask::Publish | Ask::Stop, State::Starting) => "\nhint: wait until it is STARTED",
        (Ask::Stop | Ask::Delete, State::Published) => "\nhint: unpublish it, or publish another one, first",
        (Ask::Delete, State::Started) => "\nhint: stop it first",
        _ => "",
    }
}

impl VersionStatus {
    /// The initial status.
    pub const NEW: Self = Self { state: State::Created, wanted: Wanted::Stopped };

    const fn new(state: State, wanted: Wanted) -> Self {
        Self { state, wanted }
    }

    /// The status after an action; [`Ask::Delete`] leaves it as it is, since the version ends.
    pub fn ask(self, ask: Ask) -> Result<Self, Refused> {
        match (self.state, ask) {
            (State::Created | State::Stopped | State::Error, Ask::Start) => {
                Ok(Self::new(State::Starting, Wanted::Started))
            }
            (State::Started, Ask::Publish) => Ok(Self::new(State::Published, Wanted::Published)),
            (State::Published, Ask::Unpublish) => Ok(Self::new(State::Started, Wanted::Started)),
            (State::Starting | State::Started, Ask::Stop) => Ok(Self::new(State::Stopping, Wanted::Stopped)),
            (State::Created | State::Stopped | State::Error, Ask::Delete) => Ok(self),
            (state, ask) => Err(Refused { ask, state }),
        }
    }

    /// The status after an event; an event that cannot happen in a state changes nothing.
    #[must_use]
    pub fn on(self, event: Event) -> Self {
        match (event, self.state) {
            (Event::Ready, State::Starting) => match self.wanted {
                Wanted::Published => Self::new(State::Published, Wanted::Published),
                Wanted::Started | Wanted::Stopped => Self::new(State::Started, Wanted::Started),
            },
            (Event::Failed, State::Starting | State::Started | State::Published) => {
                Self::new(State::Error, Wanted::Stopped)
            }
            (Event::Ended, State::Stopping) => Self::new(State::Stopped, Wanted::Stopped),
            (Event::Replaced, State::Published) => Self::new(State::Started, Wanted::Started),
            (Event::Replaced, State::Starting) => Self::new(State::Starting, Wanted::Started),
            (Event::RolledBack, State::Started) => Self::new(State::Published, Wanted::Published),
            (Event::RolledBack, State::Created | State::Stopped | State::Error | State::Starting) => {
                Self::new(State::Starting, Wanted::Published)
            }
            (Event::Boot, State::Starting | State::Started | State::Published) => {
                Self::new(State::Starting, self.wanted)
            }
            (Event::Boot, State::Stopping) => Self::new(State::Stopped, Wanted::Stopped),
            _ => self,
        }
    }

    /// All actions that are allowed now.
    pub fn asks(self) -> Vec<Ask> {
        Ask::ALL.iter().copied().filter(|&ask| self.ask(ask).is_ok()).collect()
    }
}

#[cfg(test)]
mod tests;
