//! The states of a version, and the transitions between them.
//!
//! Each state stands beside the wanted one: a version that is STARTING becomes STARTED, or PUBLISHED where
//! that is wanted. So a restart of the server, and a rollback to a stopped version, need no list of pending
//! work.

use krt_model::team::{DesiredState, State, VersionAction};
use miette::Diagnostic;
use std::fmt;

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
    pub wanted: DesiredState,
}

/// The state does not allow an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} a version that is {state}")]
pub struct Refused {
    /// The action.
    pub action: VersionAction,
    /// The version's state.
    pub state: State,
}

impl Diagnostic for Refused {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let hint = match (self.action, self.state) {
            (VersionAction::Publish, State::Created | State::Stopped | State::Error) => "start it first",
            (VersionAction::Publish | VersionAction::Stop, State::Starting) => "wait until it is STARTED",
            (VersionAction::Stop | VersionAction::Delete, State::Published) => {
                "unpublish it, or publish another one, first"
            }
            (VersionAction::Delete, State::Started) => "stop it first",
            _ => return None,
        };
        Some(Box::new(hint))
    }
}

impl VersionStatus {
    /// The initial status.
    pub const NEW: Self = Self { state: State::Created, wanted: DesiredState::Stopped };

    const fn new(state: State, wanted: DesiredState) -> Self {
        Self { state, wanted }
    }

    /// The status after an action; [`VersionAction::Delete`] leaves it as it is, since the version ends.
    pub fn apply(self, action: VersionAction) -> Result<Self, Refused> {
        match (self.state, action) {
            (State::Created | State::Stopped | State::Error, VersionAction::Start) => {
                Ok(Self::new(State::Starting, DesiredState::Started))
            }
            (State::Started, VersionAction::Publish) => {
                Ok(Self::new(State::Published, DesiredState::Published))
            }
            (State::Published, VersionAction::Unpublish) => {
                Ok(Self::new(State::Started, DesiredState::Started))
            }
            (State::Starting | State::Started, VersionAction::Stop) => {
                Ok(Self::new(State::Stopping, DesiredState::Stopped))
            }
            (State::Created | State::Stopped | State::Error, VersionAction::Delete) => Ok(self),
            (state, action) => Err(Refused { action, state }),
        }
    }

    /// The status after an event; an event that cannot happen in a state changes nothing.
    #[must_use]
    pub fn on(self, event: Event) -> Self {
        match (event, self.state) {
            (Event::Ready, State::Starting) => match self.wanted {
                DesiredState::Published => Self::new(State::Published, DesiredState::Published),
                DesiredState::Started | DesiredState::Stopped => {
                    Self::new(State::Started, DesiredState::Started)
                }
            },
            (Event::Failed, State::Starting | State::Started | State::Published) => {
                Self::new(State::Error, DesiredState::Stopped)
            }
            (Event::Ended, State::Stopping) => Self::new(State::Stopped, DesiredState::Stopped),
            (Event::Replaced, State::Published) => Self::new(State::Started, DesiredState::Started),
            (Event::Replaced, State::Starting) => Self::new(State::Starting, DesiredState::Started),
            (Event::RolledBack, State::Started) => Self::new(State::Published, DesiredState::Published),
            (Event::RolledBack, State::Created | State::Stopped | State::Error | State::Starting) => {
                Self::new(State::Starting, DesiredState::Published)
            }
            (Event::Boot, State::Starting | State::Started | State::Published) => {
                Self::new(State::Starting, self.wanted)
            }
            (Event::Boot, State::Stopping) => Self::new(State::Stopped, DesiredState::Stopped),
            _ => self,
        }
    }

    /// All actions that are allowed now.
    pub fn allowed_actions(self) -> Vec<VersionAction> {
        VersionAction::ALL.iter().copied().filter(|&action| self.apply(action).is_ok()).collect()
    }
}

#[cfg(test)]
mod tests;
