//! A request of this ingress, seen from its client.

use super::{
    Flow,
    answer::{AnswerMessage, Messages},
    cache::{Flight, FlightAnswer},
    record::End,
    request::{Deadline, Request},
};
use futures::future::BoxFuture;
use krt_model::{
    message::Payload,
    outcome::Failure,
    request::{Cached, Ending, StreamedAnswer},
};
use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
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
    /// What it waits for before its own work.
    waiting: Option<Waiting>,
    closed: bool,
}

/// A request that has not begun: an equal one may be answered for it.
#[derive(Debug)]
struct Waiting {
    flight: Flight,
    payload: Payload,
}

impl Waiting {
    /// Waits for the answer of its flight, or for that to the request itself.
    async fn answer(self, flow: &Flow, request: &Arc<Request>) -> Result<Payload, Failure> {
        let Self { flight, payload } = self;
        let run = || {
            flow.begin(Arc::clone(request), payload);
            async {
                let messages = poll_fn(|context| request.poll_answer(context)).await?;
                // The answer of a workflow with a cache is no stream.
                messages.into_iter().next().map(|message| message.payload).ok_or(Failure::Lost)
            }
        };
        match flight.answer(run).await? {
            FlightAnswer::Own(answer) => Ok(answer),
            FlightAnswer::Shared(answer) => {
                flow.answer_from_cache(request, Cached::Shared, answer.clone());
                Ok(answer)
            }
        }
    }
}

impl<'a> PendingAnswer<'a> {
    pub(super) fn new(flow: &'a Flow, request: Arc<Request>, deadline: Deadline, begun: Instant) -> Self {
        Self { flow, request, deadline, begun, waiting: None, closed: false }
    }

    /// Waits for an equal request before its own work begins.
    pub(super) fn waiting_for(mut self, flight: Flight, payload: Payload) -> Self {
        self.waiting = Some(Waiting { flight, payload });
        self
    }

    /// The request's id.
    pub fn id(&self) -> &Arc<str> {
        &self.request.id
    }

    /// Waits for the whole answer, until the deadline.
    pub async fn whole(mut self) -> Result<Messages, Failure> {
        let waiting = self.waiting.take();
        let ended = async {
            match waiting {
                None => poll_fn(|context| self.request.poll_answer(context)).await,
                Some(waiting) => {
                    let answer = waiting.answer(self.flow, &self.request).await?;
                    Ok(Messages::from([answer.into()]))
                }
            }
        };
        let answer = until(self.deadline, ended).await;
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
        let stream = AnswerStream::new(Arc::clone(flow), Arc::clone(&self.request), self.begun);
        match self.waiting.take() {
            None => stream.until_deadline(self.deadline),
            Some(waiting) => stream.of(waiting, self.deadline),
        }
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
    /// Its only message, if an equal request may be answered for it.
    only: Option<Only>,
    /// Ends the answer at its deadline, even if the client takes nothing.
    at_deadline: JoinSet<()>,
}

/// The only message of an answer.
enum Only {
    Waited(BoxFuture<'static, Result<Payload, Failure>>),
    Taken,
}

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waited(_) => "Waited",
            Self::Taken => "Taken",
        })
    }
}

impl AnswerStream {
    fn new(flow: Arc<Flow>, request: Arc<Request>, begun: Instant) -> Self {
        let (taken, at_deadline) = (StreamedAnswer::default(), JoinSet::new());
        Self { flow, request, begun, taken, bytes: 0, closed: false, only: None, at_deadline }
    }

    /// The answer of a request that waits for an equal one.
    fn of(mut self, waiting: Waiting, deadline: Deadline) -> Self {
        let (flow, request) = (Arc::clone(&self.flow), Arc::clone(&self.request));
        let answer = async move { until(deadline, waiting.answer(&flow, &request)).await };
        self.only = Some(Only::Waited(Box::pin(answer)));
        self
    }

    fn until_deadline(mut self, deadline: Deadline) -> Self {
        let (its_flow, its_request) = (Arc::clone(&self.flow), Arc::downgrade(&self.request));
        self.at_deadline.spawn(async move {
            tokio::time::sleep_until(deadline.at.into()).await;
            let Some(request) = its_request.upgrade() else { return };
            if request.abort(Failure::Deadline { waited: deadline.within }) {
                its_flow.stop(&request);
            }
        });
        self
    }

    /// Polls for the next message; `None` after the last one. Not polled again after `None` or a failure.
    pub fn poll_next(&mut self, context: &Context<'_>) -> Poll<Result<Option<AnswerMessage>, Failure>> {
        let polled = match &mut self.only {
            None => self.request.poll_message(context),
            Some(Only::Taken) => Poll::Ready(Ok(None)),
            Some(Only::Waited(answer)) => {
                let answer = ready!(answer.as_mut().poll(&mut Context::from_waker(context.waker())));
                self.only = Some(Only::Taken);
                Poll::Ready(answer.map(|payload| Some(payload.into())))
            }
        };
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

/// Waits for an answer, until the deadline.
async fn until<T>(
    deadline: Deadline,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let answer = tokio::time::timeout_at(deadline.at.into(), answer).await;
    answer.unwrap_or(Err(Failure::Deadline { waited: deadline.within }))
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
    if !request.has_begun() {
        // It was in no queue, and no other engine knows of it.
        request.work_ended();
    } else if !request.replied() {
        flow.stop(request);
    }
}
