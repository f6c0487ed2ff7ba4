//! A message delivered to this worker, until its RESULT is written.

use crate::{contract::ContextError, form::Payload, frame, hello::Window, link::lock, metadata::Metadata};
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
    /// Notified when a handler that waits for credit may go on.
    credited: Notify,
}

struct State {
    /// Whether its RESULT is still to be written.
    open: bool,
    replied: bool,
    early_exit: bool,
    /// What may go out before the client has taken something; `None` if the answer is not a stream.
    left: Option<Window>,
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
    /// Whether its answer is a stream.
    pub(crate) streams: bool,
}

impl Delivery {
    pub(crate) fn new(waiting: &Waiting, left: Option<Window>) -> Self {
        let Waiting { id, replied, request, metadata, .. } = waiting;
        let state = Mutex::new(State { open: true, replied: *replied, early_exit: false, left });
        let (request, metadata) = (Arc::clone(request), metadata.clone());
        Self { id: *id, request, metadata, state, cancel: Notify::new(), credited: Notify::new() }
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

    /// Waits until a message of the answer may go out, and counts its bytes. Returns whether to send it: after an
    /// early reply, messages are dropped.
    pub(crate) async fn wait_for_credit(&self, bytes: usize) -> Result<bool, ContextError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        loop {
            let credited = self.credited.notified();
            if let Some(sends) = self.try_take(bytes)? {
                return Ok(sends);
            }
            credited.await;
        }
    }

    /// `None` while there is no credit.
    fn try_take(&self, bytes: i64) -> Result<Option<bool>, ContextError> {
        let mut state = lock(&self.state);
        if !state.open {
            return Err(ContextError::after("send"));
        }
        if state.replied {
            return Ok(Some(false));
        }
        let left = state.left.as_mut().ok_or(ContextError::OneAnswer)?;
        if left.messages <= 0 || left.bytes <= 0 {
            return Ok(None);
        }
        left.messages -= 1;
        left.bytes -= bytes;
        Ok(Some(true))
    }

    /// Returns whether the answer is a stream.
    pub(crate) fn streams(&self) -> bool {
        lock(&self.state).left.is_some()
    }

    /// Sends a message of the answer, unless the handler has returned.
    pub(crate) fn send(&self, send: impl FnOnce()) -> Result<(), ContextError> {
        let state = lock(&self.state);
        if !state.open {
            return Err(ContextError::after("send"));
        }
        send();
        Ok(())
    }

    /// Adds what the client has taken.
    pub(crate) fn credit(&self, messages: u32, bytes: u64) {
        if let Some(left) = &mut lock(&self.state).left {
            left.messages += i64::from(messages);
            left.bytes = left.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        self.credited.notify_waiters();
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
        self.credited.notify_waiters();
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
