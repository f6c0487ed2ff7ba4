//! The states of a version, and which may follow which.
//!
//! Beside what a version is stands what it should be: a version that is STARTING becomes STARTED, or
//! PUBLISHED where that is wanted; so a restart of the server, and a rollback to a version that is
//! stopped, need no list of what to do later.

use crate::text::texts;

/// What a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Uploaded, never started.
    Created,
    /// Its nodes are being started.
    Starting,
    /// It runs, for those who hold a token.
    Started,
    /// It runs, for all clients of its runtime.
    Published,
    /// It finishes what is in work, and ends.
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

/// What a version should be.
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

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// To start it.
    Start,
    /// To stop it.
    Stop,
    /// To let its runtime's clients reach it.
    Publish,
    /// To let them reach it no more.
    Unpublish,
    /// To remove it.
    Delete,
}

texts!(Ask {
    Start = "start",
    Stop = "stop",
    Publish = "publish",
    Unpublish = "unpublish",
    Delete = "delete"
});

/// What happens to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// All its nodes are up.
    Ready,
    /// It does not start, or does not go on.
    Failed,
    /// It has ended.
    Ended,
    /// Another version of its runtime is published.
    Replaced,
    /// It is to be published again, whether it runs or not.
    RolledBack,
    /// The server starts: nothing runs.
    Boot,
}

/// What a version is, and what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What it is.
    pub state: State,
    /// What it should be.
    pub wanted: Wanted,
}

/// Why something that was asked for cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {ask} a version that is {state}{}", hint(*.state, *.ask))]
pub struct Refused {
    /// What was asked for.
    pub ask: Ask,
    /// What the version is.
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

impl Standing {
    /// How a version begins.
    pub const NEW: Self = Self { state: State::Created, wanted: Wanted::Stopped };

    const fn new(state: State, wanted: Wanted) -> Self {
        Self { state, wanted }
    }

    /// What follows what is asked for; the state stays for [`Ask::Delete`], which ends it all.
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

    /// What follows what happens; what cannot happen in a state changes nothing.
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

    /// All that may be asked for now.
    pub fn asks(self) -> Vec<Ask> {
        Ask::ALL.iter().copied().filter(|&ask| self.ask(ask).is_ok()).collect()
    }
}

#[cfg(test)]
mod tests;
