//! The bytes to be written to one client.

use super::operation::{Message, ProtocolError};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// Bytes for one client. A client that does not read loses its connection when they exceed the limit.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    /// Whether the client supports headers; otherwise messages lose theirs.
    headers: AtomicBool,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Bytes>,
    bytes: usize,
    /// Why no more is written.
    closed: Option<ProtocolError>,
    ended: bool,
}

/// The next step for the writer.
#[derive(Debug)]
pub(super) enum Next {
    /// Write these bytes.
    Parts(VecDeque<Bytes>),
    /// Write this error and end.
    ProtocolError(ProtocolError),
    /// End.
    End,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit, headers: AtomicBool::new(false), filled: Notify::new() }
    }

    pub(super) fn understands_headers(&self, headers: bool) {
        self.headers.store(headers, Ordering::Release);
    }

    pub(super) fn line(&self, line: impl Into<Bytes>) {
        self.push([line.into()]);
    }

    /// Adds a message for the subscription with this id.
    pub(super) fn message(&self, id: &str, message: &Message) {
        let Message { subject, reply, headers, bytes } = message;
        let reply = reply.as_ref().map(|reply| format!(" {reply}")).unwrap_or_default();
        let (line, bytes) = match (*headers, self.headers.load(Ordering::Acquire)) {
            (0, _) => (format!("MSG {subject} {id}{reply} {}\r\n", bytes.len()), bytes.clone()),
            (headers, true) => {
                (format!("HMSG {subject} {id}{reply} {headers} {}\r\n", bytes.len()), bytes.clone())
            }
            (headers, false) => {
                let bytes = bytes.slice(headers..);
                (format!("MSG {subject} {id}{reply} {}\r\n", bytes.len()), bytes)
            }
        };
        self.push([line.into(), bytes, Bytes::from_static(b"\r\n")]);
    }

    /// Closes with an error, which is still written.
    pub(super) fn close(&self, violation: ProtocolError) {
        self.lock().closed.get_or_insert(violation);
        self.filled.notify_one();
    }

    /// Writes the rest, and ends.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.filled.notify_one();
    }

    /// Waits for the next step.
    pub(super) async fn next(&self) -> Next {
        loop {
            {
                let mut state = self.lock();
                if let Some(violation) = state.closed {
                    return Next::ProtocolError(violation);
                }
                if !state.parts.is_empty() {
                    state.bytes = 0;
                    return Next::Parts(std::mem::take(&mut state.parts));
                }
                if state.ended {
                    return Next::End;
                }
            }
            self.filled.notified().await;
        }
    }

    fn push<const N: usize>(&self, parts: [Bytes; N]) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.bytes += parts.iter().map(Bytes::len).sum::<usize>();
        if state.bytes > self.limit {
            state.parts.clear();
            state.closed = Some(ProtocolError::Slow);
        } else {
            state.parts.extend(parts);
        }
        drop(state);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
