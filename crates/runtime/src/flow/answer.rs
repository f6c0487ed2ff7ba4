//! The answer to a request: a sequence of messages, then one end.
//!
//! [`ReplySink::message`] takes each message, [`ReplySink::end`] the end. [`Request::answer`] calls both: a unary RPC has
//! one message. [`Request::send`] adds the messages of a stream before that. Each of these has a [`Credit`], so that its
//! sender knows when the client has taken it: the handler is held back, and the sequence stays short.
//!
//! [`Request::answer`]: super::Request::answer
//! [`Request::send`]: super::Request::send

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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What a workflow answers: its message, or why there is none.
pub type Answer = Result<Payload, Failure>;

/// The messages of an answer, in order.
pub type Messages = VecDeque<AnswerMessage>;

/// A message of an answer.
#[derive(Debug)]
pub struct AnswerMessage {
    /// The message.
    pub payload: Payload,
    /// Tells its sender that the client has taken it; only in streams, and only before the last message.
    pub credit: Option<Credit>,
}

impl From<Payload> for AnswerMessage {
    fn from(payload: Payload) -> Self {
        Self { payload, credit: None }
    }
}

/// Permission to send more, returned to the sender when it is dropped. The drop must not happen under a lock of the
/// flow, as it takes one of the sender.
#[derive(Debug)]
pub struct Credit {
    sender: Arc<dyn Sender>,
    bytes: usize,
}

/// Sends messages of a stream, of which only a few may wait for the client.
pub trait Sender: Send + Sync + fmt::Debug {
    /// Notes that the client has taken a message of so many bytes.
    fn taken(&self, bytes: usize);
}

impl Credit {
    /// Creates the credit of a message of so many bytes.
    pub fn new(sender: Arc<dyn Sender>, bytes: usize) -> Self {
        Self { sender, bytes }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.sender.taken(self.bytes);
    }
}

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
    fn message(&self, message: AnswerMessage);

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
    /// Whether the client takes each message when it comes.
    each: bool,
    /// Whether the client has left, or has taken the answer.
    closed: bool,
}

impl ReplySink for LocalReply {
    fn message(&self, message: AnswerMessage) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            drop(message);
            return;
        }
        state.messages.push_back(message);
        let waiting = if state.each { state.waiting.take() } else { None };
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
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

    /// Polls for the next message; `None` after the last one. A failure comes after the messages before it.
    pub(super) fn poll_next(&self, context: &Context<'_>) -> Poll<Result<Option<AnswerMessage>, Failure>> {
        let mut state = self.lock();
        if let Some(message) = state.messages.pop_front() {
            return Poll::Ready(Ok(Some(message)));
        }
        match state.status.take() {
            Some(status) => Poll::Ready(status.map(|()| None)),
            None => {
                state.each = true;
                state.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ends the answer at once, and drops what was not taken.
    pub(super) fn abort(&self, failure: Failure) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let rest = std::mem::take(&mut state.messages);
        state.status = Some(Err(failure));
        let waiting = state.waiting.take();
        drop(state);
        drop(rest);
        if let Some(waker) = waiting {
            waker.wake();
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

    fn message(value: &[u8]) -> AnswerMessage {
        Payload::pack("t.M", value).into()
    }

    fn values(messages: impl IntoIterator<Item = AnswerMessage>) -> Vec<Vec<u8>> {
        messages.into_iter().map(|message| message.payload.value().to_vec()).collect()
    }

    /// Counts the messages taken, and checks that a sender may take a lock of its own meanwhile.
    #[derive(Debug, Default)]
    struct Count(Mutex<Vec<usize>>);

    impl Sender for Count {
        fn taken(&self, bytes: usize) {
            self.0.lock().unwrap().push(bytes);
        }
    }

    #[tokio::test]
    async fn messages_wait_for_their_end() {
        let reply = LocalReply::default();
        let mut ended = Box::pin(poll_fn(|context| reply.poll_end(context)));
        reply.message(message(b"1"));
        reply.message(message(b"2"));
        assert!(futures::poll!(&mut ended).is_pending());
        assert!(reply.end(Ok(()), AnswerMeta::default()));
        assert_eq!(values(ended.await.unwrap()), [b"1", b"2"]);
    }

    #[tokio::test]
    async fn the_end_wakes_its_client() {
        let reply = Arc::new(LocalReply::default());
        let waits = Arc::clone(&reply);
        let ended = tokio::spawn(poll_fn(move |context| waits.poll_end(context)));
        tokio::task::yield_now().await;
        assert!(reply.end(Err(Failure::Lost), AnswerMeta::default()));
        assert_eq!(ended.await.unwrap().map(values), Err(Failure::Lost));
    }

    #[test]
    fn disconnected_clients_get_nothing() {
        let reply = LocalReply::default();
        reply.message(message(b"1"));
        reply.close();
        reply.message(message(b"2"));
        assert!(!reply.end(Ok(()), AnswerMeta::default()));
        assert!(poll_fn(|context| reply.poll_end(context)).now_or_never().is_none());
        assert!(reply.lock().messages.is_empty());
    }

    #[tokio::test]
    async fn each_message_of_a_stream_wakes_its_client_and_the_status_comes_last() {
        let (reply, count) = (Arc::new(LocalReply::default()), Arc::new(Count::default()));
        let next = || poll_fn(|context| reply.poll_next(context));
        let send = |value: &[u8]| {
            let credit = Some(Credit::new(Arc::clone(&count) as _, value.len()));
            reply.message(AnswerMessage { credit, ..message(value) });
        };
        let waits = Arc::clone(&reply);
        let first = tokio::spawn(async move { poll_fn(|context| waits.poll_next(context)).await });
        tokio::task::yield_now().await;
        send(b"1");
        assert_eq!(values(first.await.unwrap().unwrap()), [b"1"]);
        send(b"22");
        send(b"333");
        assert!(reply.end(Err(Failure::Lost), AnswerMeta::default()));
        assert_eq!(*count.0.lock().unwrap(), [1]);
        assert_eq!(values(next().await.unwrap()), [b"22"]);
        assert_eq!(values(next().await.unwrap()), [b"333"]);
        assert_eq!(next().await.map(values), Err(Failure::Lost));
        assert_eq!(*count.0.lock().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn an_aborted_stream_keeps_no_message() {
        let (reply, count) = (LocalReply::default(), Arc::new(Count::default()));
        let credit = || Some(Credit::new(Arc::clone(&count) as _, 7));
        reply.message(AnswerMessage { credit: credit(), ..message(b"1") });
        reply.abort(Failure::Lost);
        assert_eq!(*count.0.lock().unwrap(), [7]);
        let next = poll_fn(|context| reply.poll_next(context)).now_or_never();
        assert_eq!(next.unwrap().map(values), Err(Failure::Lost));
        reply.close();
        reply.message(AnswerMessage { credit: credit(), ..message(b"2") });
        assert_eq!(*count.0.lock().unwrap(), [7, 7]);
    }
}
