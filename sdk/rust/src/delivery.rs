//! A message delivered to this worker, until its RESULT is written.

use crate::{contract::ContextError, form::Payload, frame, link::lock, metadata::Metadata};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// A delivery in flight.
pub(crate) struct Delivery {
    pub(crate) id: u32,
    /// The id of the request.
    pub(crate) request: Arc<str>,
    /// JSON, or empty.
    metadata: Bytes,
    state: Mutex<State>,
    cancel: Notify,
}

struct State {
    /// Whether its RESULT is still to be written.
    open: bool,
    replied: bool,
    early_exit: bool,
}

/// A delivery that waits for its handler.
pub(crate) struct Waiting {
    pub(crate) id: u32,
    pub(crate) replied: bool,
    pub(crate) request: Arc<str>,
    pub(crate) metadata: Bytes,
    pub(crate) payload: Payload,
    /// Whether the next one is of the same batch.
    pub(crate) more: bool,
}

impl Delivery {
    pub(crate) fn new(waiting: &Waiting) -> Self {
        let Waiting { id, replied, request, metadata, .. } = waiting;
        let state = Mutex::new(State { open: true, replied: *replied, early_exit: false });
        let (request, metadata) = (Arc::clone(request), metadata.clone());
        Self { id: *id, request, metadata, state, cancel: Notify::new() }
    }

    /// The metadata; parsed on demand, because that is rare.
    fn metadata(&self) -> Map<String, Value> {
        serde_json::from_slice(&self.metadata).unwrap_or_default()
    }

    /// The time left until the client stops waiting; `None` if none waits.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadline = self.metadata().get("deadline")?.as_u64()?;
        let replied = lock(&self.state).replied;
        (!replied).then(|| Duration::from_nanos(deadline.saturating_sub(frame::now())))
    }

    /// What the client sent beside its message.
    pub(crate) fn client(&self) -> Metadata {
        let client = self.metadata().remove("client").unwrap_or_default();
        Metadata::new(serde_json::from_value(client).unwrap_or_default())
    }

    /// The W3C trace context.
    pub(crate) fn trace_headers(&self) -> BTreeMap<String, String> {
        let metadata = self.metadata();
        let text = |name: &str| Some((name.to_owned(), metadata.get(name)?.as_str()?.to_owned()));
        ["traceparent", "tracestate"].into_iter().filter_map(text).collect()
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

    /// Records an early exit.
    pub(crate) fn exit(&self) -> Result<(), ContextError> {
        let mut state = lock(&self.state);
        if !state.open {
            return Err(ContextError::after("early_exit"));
        }
        state.early_exit = true;
        Ok(())
    }

    /// Refuses further early replies and exits; returns whether there was an early exit.
    pub(crate) fn close(&self) -> bool {
        let mut state = lock(&self.state);
        state.open = false;
        state.early_exit
    }

    /// Cancels the delivery: its client has left.
    pub(crate) fn cancel(&self) {
        self.cancel.notify_one();
    }

    pub(crate) async fn cancelled(&self) {
        self.cancel.notified().await;
    }
}
