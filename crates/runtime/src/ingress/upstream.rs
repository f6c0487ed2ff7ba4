//! The version behind a port that has only one.

use super::Ingress;
use std::sync::{Arc, PoisonError, RwLock};

/// The version behind a port. The port answers whether or not the version is up.
#[derive(Debug, Default)]
pub struct Upstream(RwLock<UpstreamState>);

/// The state of the version.
#[derive(Debug, Clone, Default)]
pub(super) enum UpstreamState {
    /// Its files are being read and its stores opened.
    #[default]
    Starting,
    /// It is up; its ingress decides whether to admit requests.
    Running(Arc<Ingress>),
    /// It did not start, and waits for its files to change.
    Failed,
    /// It has stopped, and the port is about to close.
    Stopped,
}

impl Upstream {
    /// Sets the state to starting.
    pub fn starting(&self) {
        self.set(UpstreamState::Starting);
    }

    /// Sets the ingress of a version that is up.
    pub fn set_ingress(&self, ingress: Arc<Ingress>) {
        self.set(UpstreamState::Running(ingress));
    }

    /// Sets the state to failed.
    pub fn failed(&self) {
        self.set(UpstreamState::Failed);
    }

    /// Sets the state to stopped.
    pub fn stopped(&self) {
        self.set(UpstreamState::Stopped);
    }

    pub(super) fn state(&self) -> UpstreamState {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: UpstreamState) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
