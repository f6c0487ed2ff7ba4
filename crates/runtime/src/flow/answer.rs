//! The answer to a request: a sequence of messages, then one end.
//!
//! Workflows of KRT v1 answer with one message. It takes the way of a sequence, which [`Request::answer`] starts:
//! [`ReplySink::message`] for each message, [`ReplySink::end`] once.
//!
//! [`Request::answer`]: super::Request::answer

use super::acker::Acker;
use krt_model::{
    message::{Payload, Tracking},
    outcome::Failure,
    request::HopChain,
};
use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What a workflow answers: its message, or why there is none.
pub type Answer = Result<Payload, Failure>;

/// The messages of an answer, in order.
pub type Messages = VecDeque<Payload>;

/// Data that accompanies the end of an answer.
#[derive(Debug, Default)]
pub struct AnswerMeta {
    /// The stages that the request has passed.
    pub tracking: Vec<Tracking>,
    /// The calls of handlers so far, if the request was received elsewhere: [`Request::answer`] adds them.
    ///
    /// [`Request::answer`]: super::Request::answer
    pub hops: HopChain,
    /// Acknowledges the message that led to the answer.
    pub acker: Option<Acker>,
}

impl AnswerMeta {
    /// Acknowledges the message that led to the answer.
    pub fn ack(self) {
        if let Some(acker) = self.acker {
            acker.ack();
        }
    }
}

/// Takes the answer to one request.
pub trait ReplySink: Any + Send + Sync + fmt::Debug {
    /// Takes the next message.
    fn message(&self, message: Payload);

    /// Takes the end, after the last message, and marks the acker in `meta`. Returns whether somebody still waits
    /// for the answer.
    fn end(&self, status: Result<(), Failure>, meta: AnswerMeta) -> bool;
}

/// The reply sink of a request received at this ingress: keeps the answer until its client takes it.
#[derive(Debug, Default)]
pub(super) struct LocalReply(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    messages: Messages,
    status: Option<Result<(), Failure>>,
    waiting: Option<Waker>,
    /// Whether the client has left, or has taken the answer.
    closed: bool,
}

impl ReplySink for LocalReply {
    fn message(&self, message: Payload) {
        let mut state = self.lock();
        if !state.closed {
            state.messages.push_back(message);
        }
    }

    fn end(&self, status: Result<(), Failure>, meta: AnswerMeta) -> bool {
        meta.ack();
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.status = Some(status);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
        true
    }
}

impl LocalReply {
    /// Polls for the end, which comes with the messages before it.
    pub(super) fn poll_end(&self, context: &Context<'_>) -> Poll<Result<Messages, Failure>> {
        let mut state = self.lock();
        match state.status.take() {
            Some(status) => Poll::Ready(status.map(|()| std::mem::take(&mut state.messages))),
            None => {
                state.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Drops what was not taken, and takes no more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let closed = State { closed: true, ..State::default() };
        let rest = std::mem::replace(&mut *state, closed);
        // Freeing a large message takes long.
        drop(state);
        drop(rest);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, future::poll_fn};

    fn message(value: &[u8]) -> Payload {
        Payload::pack("t.M", value)
    }

    #[tokio::test]
    async fn messages_wait_for_their_end() {
        let reply = LocalReply::default();
        let mut ended = Box::pin(poll_fn(|context| reply.poll_end(context)));
        reply.message(message(b"1"));
        reply.message(message(b"2"));
        assert_eq!(futures::poll!(&mut ended), Poll::Pending);
        assert!(reply.end(Ok(()), AnswerMeta::default()));
        assert_eq!(ended.await, Ok(Messages::from([message(b"1"), message(b"2")])));
    }

    #[tokio::test]
    async fn the_end_wakes_its_client() {
        let reply = std::sync::Arc::new(LocalReply::default());
        let waits = std::sync::Arc::clone(&reply);
        let ended = tokio::spawn(poll_fn(move |context| waits.poll_end(context)));
        tokio::task::yield_now().await;
        assert!(reply.end(Err(Failure::Lost), AnswerMeta::default()));
        assert_eq!(ended.await.unwrap(), Err(Failure::Lost));
    }

    #[test]
    fn disconnected_clients_get_nothing() {
        let reply = LocalReply::default();
        reply.message(message(b"1"));
        reply.close();
        reply.message(message(b"2"));
        assert!(!reply.end(Ok(()), AnswerMeta::default()));
        assert_eq!(poll_fn(|context| reply.poll_end(context)).now_or_never(), None);
        assert!(reply.lock().messages.is_empty());
    }
}
