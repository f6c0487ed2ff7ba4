//! A request of this ingress, seen from its client.

use super::{
    Flow,
    answer::{AnswerMessage, Messages},
    record::End,
    request::{Deadline, Request},
};
use krt_model::{
    outcome::Failure,
    request::{Ending, StreamedAnswer},
};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tokio::task::JoinSet;

/// The answer that a client of this ingress waits for. Dropped before the answer, it says that the client left, and
/// stops the work.
#[derive(Debug)]
#[must_use = "dropping it stops the work"]
pub struct PendingAnswer<'a> {
    flow: &'a Flow,
    request: Arc<Request>,
    deadline: Deadline,
    begun: Instant,
    closed: bool,
}

impl<'a> PendingAnswer<'a> {
    pub(super) fn new(flow: &'a Flow, request: Arc<Request>, deadline: Deadline, begun: Instant) -> Self {
        Self { flow, request, deadline, begun, closed: false }
    }

    /// The request's id.
    pub fn id(&self) -> &Arc<str> {
        &self.request.id
    }

    /// Waits for the whole answer, until the deadline.
    pub async fn whole(mut self) -> Result<Messages, Failure> {
        let ended = poll_fn(|context| self.request.poll_answer(context));
        let answer = match tokio::time::timeout_at(self.deadline.at.into(), ended).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Deadline { waited: self.deadline.within }),
        };
        self.close(match &answer {
            Ok(messages) => End::Answered(messages.iter().map(|message| message.payload.value().len()).sum()),
            Err(failure) => End::failed(failure),
        });
        if let Err(failure) = &answer {
            self.flow.metrics.failure(self.request.route.index, failure);
        }
        answer
    }

    /// Takes the answer message by message. `flow` is the request's own.
    pub fn stream(mut self, flow: &Arc<Flow>) -> AnswerStream {
        self.closed = true;
        AnswerStream::new(Arc::clone(flow), Arc::clone(&self.request), self.deadline, self.begun)
    }

    fn close(&mut self, end: End) {
        self.closed = true;
        close(self.flow, &self.request, self.begun, end, None);
    }
}

impl Drop for PendingAnswer<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.close(End::Left);
        }
    }
}

/// The answer to a client of this ingress, which takes it message by message. Dropped before the end, it says that the
/// client left, and stops the work.
#[derive(Debug)]
pub struct AnswerStream {
    flow: Arc<Flow>,
    request: Arc<Request>,
    begun: Instant,
    taken: StreamedAnswer,
    bytes: usize,
    closed: bool,
    /// Ends the answer at its deadline, even if the client takes nothing.
    _deadline: JoinSet<()>,
}

impl AnswerStream {
    fn new(flow: Arc<Flow>, request: Arc<Request>, deadline: Deadline, begun: Instant) -> Self {
        let mut at_deadline = JoinSet::new();
        let (its_flow, its_request) = (Arc::clone(&flow), Arc::downgrade(&request));
        at_deadline.spawn(async move {
            tokio::time::sleep_until(deadline.at.into()).await;
            let Some(request) = its_request.upgrade() else { return };
            if request.abort(Failure::Deadline { waited: deadline.within }) {
                its_flow.stop(&request);
            }
        });
        let taken = StreamedAnswer::default();
        Self { flow, request, begun, taken, bytes: 0, closed: false, _deadline: at_deadline }
    }

    /// Polls for the next message; `None` after the last one. Not polled again after `None` or a failure.
    pub fn poll_next(&mut self, context: &Context<'_>) -> Poll<Result<Option<AnswerMessage>, Failure>> {
        let polled = self.request.poll_message(context);
        match &polled {
            Poll::Ready(Ok(Some(message))) => self.note(message),
            Poll::Ready(Ok(None)) => self.close(End::Answered(self.bytes)),
            Poll::Ready(Err(failure)) => {
                self.close(End::failed(failure));
                self.flow.metrics.failure(self.request.route.index, failure);
            }
            Poll::Pending => {}
        }
        polled
    }

    /// Waits for the next message; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<AnswerMessage>, Failure> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn note(&mut self, message: &AnswerMessage) {
        self.bytes += message.payload.value().len();
        self.taken.messages += 1;
        let elapsed = || u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.taken.first.get_or_insert_with(elapsed);
    }

    fn close(&mut self, end: End) {
        self.closed = true;
        let stream = self.request.route.streams.then_some(self.taken);
        close(&self.flow, &self.request, self.begun, end, stream);
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if !self.closed {
            self.close(End::Left);
        }
    }
}

/// Closes a request for its client. Work that nobody waits for stops, unless it goes on after an early reply.
fn close(flow: &Flow, request: &Request, begun: Instant, end: End, stream: Option<StreamedAnswer>) {
    let ending = match &end {
        End::Answered(_) => Ending::Answered,
        End::Failed(_) => Ending::Failed,
        End::Left => Ending::Left,
    };
    flow.metrics.request(request.route.index, ending, begun.elapsed());
    request.close(end, stream);
    if !request.replied() {
        flow.stop(request);
    }
}
