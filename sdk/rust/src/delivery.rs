//! One message that was given to this host, until its RESULT is written.

use crate::{contract::ContextError, form::Payload, link::lock};
use std::sync::Mutex;
use tokio::sync::Notify;

/// A delivery, as long as code works for it.
pub(crate) struct Delivery {
    pub(crate) id: u32,
    state: Mutex<State>,
    cancel: Notify,
}

struct State {
    /// Its RESULT is not written.
    open: bool,
    replied: bool,
    early_exit: bool,
}

/// A delivery that waits for its handler.
pub(crate) struct Waiting {
    pub(crate) id: u32,
    pub(crate) replied: bool,
    pub(crate) payload: Payload,
}

impl Delivery {
    pub(crate) fn new(id: u32, replied: bool) -> Self {
        let state = Mutex::new(State { open: true, replied, early_exit: false });
        Self { id, state, cancel: Notify::new() }
    }

    /// Sends an early reply, unless there was one.
    pub(crate) fn reply(&self, send: impl FnOnce()) -> Result<(), ContextError> {
        let mut state = lock(&self.state);
        if !state.open {
            return Err(ContextError::after("early_reply"));
        }
        if state.replied {
            return Err(ContextError::Replied);
        }
        state.replied = true;
        send();
        Ok(())
    }

    /// Notes that the handler asked for an early exit.
    pub(crate) fn exit(&self) -> Result<(), ContextError> {
        let mut state = lock(&self.state);
        if !state.open {
            return Err(ContextError::after("early_exit"));
        }
        state.early_exit = true;
        Ok(())
    }

    /// Takes no early reply and no early exit any more; whether it had the latter.
    pub(crate) fn close(&self) -> bool {
        let mut state = lock(&self.state);
        state.open = false;
        state.early_exit
    }

    /// Nobody waits for it any more.
    pub(crate) fn cancel(&self) {
        self.cancel.notify_one();
    }

    pub(crate) async fn cancelled(&self) {
        self.cancel.notified().await;
    }
}
