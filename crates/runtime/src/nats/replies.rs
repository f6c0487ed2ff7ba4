//! The requests of this ingress. Each waits for one answer, in its own inbox; an answer may be a stream.

use super::{
    Nats, encode,
    no_responders::NoResponders,
    presence::SILENCE_TIMEOUT,
    remote::ReplyTo,
    streams::{Arrivals, Part},
};
use crate::{
    envelopes,
    flow::{Answer, AnswerMessage, AnswerMeta, Flow, Request, WorkElsewhere, no_memory},
};
use krt_broker::{
    Connection, Envelope, Error, Listener, Received, WireProtocol, sender::OnUnsent, subject::is_inbox,
};
use krt_model::{
    name::Name,
    outcome::{self, Failure, Kind, Step},
    request::HopChain,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long the record of a request whose client has left waits for the calls of handlers that this stops: longer
/// than the notice and its answer take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between checks of that time, and of streams.
const TICK: Duration = Duration::from_millis(250);

/// Between the prefix of an engine's inboxes and a stream.
const CREDIT: &str = "-credit.";

/// The requests that wait for an answer, by id.
#[derive(Debug)]
pub(super) struct PendingReplies {
    /// The prefix of this engine's inboxes.
    inbox: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Arc<str>, Waiting>,
    /// The records of requests whose clients have left, and when they stop to wait.
    left: HashMap<Arc<str>, (Instant, WorkElsewhere)>,
}

#[derive(Debug)]
struct Waiting {
    request: Weak<Request>,
    work: Option<WorkElsewhere>,
    /// Its answer so far, if it is a stream.
    stream: Option<Arc<Arrivals>>,
}

impl PendingReplies {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { inbox: connection.new_inbox(), state: Mutex::default() }
    }

    /// Returns the name of this engine.
    pub(super) fn engine(&self) -> &str {
        self.inbox.rsplit('.').next().unwrap_or_default()
    }

    /// Returns the inbox for a request's answer.
    pub(super) fn inbox(&self, id: &str) -> String {
        format!("{}.{id}", self.inbox)
    }

    /// Returns the inbox for the server's report that a message had no receiver.
    pub(super) fn no_responders_inbox(&self, about: &NoResponders<'_>) -> String {
        format!("{}-nobody.{about}", self.inbox)
    }

    pub(super) fn add(&self, request: &Arc<Request>) {
        let stream = request.route.streams.then(Arc::default);
        let waiting = Waiting { request: Arc::downgrade(request), work: request.work_elsewhere(), stream };
        self.lock().waiting.insert(Arc::clone(&request.id), waiting);
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<Request>> {
        let waiting = self.lock().waiting.remove(id);
        waiting?.request.upgrade()
    }

    /// Returns the answer so far of a request whose answer is a stream.
    fn stream(&self, id: &str) -> Option<(Arc<Request>, Arc<Arrivals>)> {
        let state = self.lock();
        let waiting = state.waiting.get(id)?;
        Some((waiting.request.upgrade()?, Arc::clone(waiting.stream.as_ref()?)))
    }

    /// Returns the inbox for the credit of a stream that leaves this engine.
    pub(super) fn credit_inbox(&self, stream: &str) -> String {
        format!("{}{CREDIT}{stream}", self.inbox)
    }

    /// Stops to wait for the answer of a request whose client has left. Its record waits a little longer.
    pub(super) fn leave(&self, request: &Request) {
        let mut state = self.lock();
        if let Some(work) = state.waiting.remove(&request.id).and_then(|waiting| waiting.work) {
            state.left.insert(Arc::clone(&request.id), (Instant::now() + REPORT_TIMEOUT, work));
        }
    }

    /// Takes calls of handlers for a request whose client has left.
    fn take_hops(&self, id: &str, hops: &HopChain) {
        let left = self.lock().left.remove(id);
        if let Some((_, work)) = left {
            work.add_hops(hops);
        }
    }

    /// Closes the records that have waited until `now`.
    pub(super) fn expire(&self, now: Instant) {
        let expired: Vec<_> = self.lock().left.extract_if(|_, (until, _)| *until <= now).collect();
        // It stores the records.
        drop(expired);
    }

    /// Closes all records whose clients have left.
    pub(super) fn close(&self) {
        let left = std::mem::take(&mut self.lock().left);
        drop(left);
    }

    /// Returns a callback that fails a request whose first message could not be stored.
    pub(super) fn unsent(self: &Arc<Self>, id: &Arc<str>) -> OnUnsent {
        let (replies, id) = (Arc::clone(self), Arc::clone(id));
        Box::new(move |why| {
            // The request may have ended at its deadline.
            let Some(request) = replies.remove(&id) else { return };
            let message = format!("the NATS server has not stored the message: {why}");
            let failure = Failure::Remote { kind: Kind::Disconnected, message };
            request.answer(Err(failure), AnswerMeta::default());
        })
    }

    /// Takes out the waiting requests, or those alone whose answers are streams.
    fn take_all(&self, only_streams: bool) -> Vec<Arc<Request>> {
        let mut state = self.lock();
        let waiting: Vec<_> =
            state.waiting.extract_if(|_, waiting| !only_streams || waiting.stream.is_some()).collect();
        drop(state);
        waiting.into_iter().filter_map(|(_, waiting)| waiting.request.upgrade()).collect()
    }

    /// Takes out the requests whose answers are streams that cannot go on, with the reasons.
    fn take_broken(&self, broken: impl Fn(&Arrivals) -> Option<Failure>) -> Vec<(Arc<Request>, Failure)> {
        let mut state = self.lock();
        let streams = state.waiting.iter().filter_map(|(id, waiting)| Some((id, waiting.stream.as_ref()?)));
        let found: Vec<_> =
            streams.filter_map(|(id, stream)| Some((Arc::clone(id), broken(stream)?))).collect();
        let taken: Vec<_> =
            found.into_iter().map(|(id, failure)| (state.waiting.remove(&id), failure)).collect();
        drop(state);
        taken
            .into_iter()
            .filter_map(|(waiting, failure)| Some((waiting?.request.upgrade()?, failure)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for answers, until the task is aborted.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let inbox = Listener::open(&nats.connection, format!("{}.*", nats.replies.inbox)).await?;
    tasks.spawn(handle_replies(Arc::clone(nats), Arc::clone(flow), inbox));
    if nats.options.protocol == WireProtocol::JetStream {
        // Other runners know no inbox: all their answers arrive on one subject.
        for workflow in 0..nats.stages.len() {
            let subject = nats.answers_subject(workflow);
            let answers = Listener::open(&nats.connection, subject).await?;
            tasks.spawn(handle_replies(Arc::clone(nats), Arc::clone(flow), answers));
        }
    }
    tasks.spawn(watch_connection(Arc::clone(nats), Arc::clone(flow)));
    tasks.spawn(check_waiting(Arc::clone(nats), Arc::clone(flow)));
    Ok(())
}

/// Listens for the server's reports of messages between nodes that had no receiver.
pub(super) async fn listen_for_no_responders(
    nats: &Arc<Nats>,
    flow: &Arc<Flow>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let prefix = format!("{}-nobody.", nats.replies.inbox);
    let mut listener = Listener::open(&nats.connection, format!("{prefix}>")).await?;
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        while let Some(received) = listener.next().await {
            let about = received.subject.strip_prefix(&prefix).and_then(NoResponders::parse);
            // Other clients may send to this inbox, with any subject in it.
            let Some(about) = about.filter(|about| is_inbox(about.reply)) else { continue };
            if received.no_responders {
                nats.no_responders(&flow, &about);
            } else {
                // A receiver of the message replied here, instead of where the envelope says.
                let mut answer = encode::engine_message(about.reply, received.body.to_vec());
                answer.headers = received.headers;
                nats.sender.send(answer, None);
            }
        }
    });
    Ok(())
}

async fn handle_replies(nats: Arc<Nats>, flow: Arc<Flow>, mut listener: Listener) {
    while let Some(received) = listener.next().await {
        nats.handle_reply(&flow, received);
    }
}

/// Closes records, and ends streams that cannot go on.
async fn check_waiting(nats: Arc<Nats>, flow: Arc<Flow>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        let now = tick.tick().await.into();
        nats.replies.expire(now);
        let is_up = |inbox: &str| nats.presence.knows(engine_of(inbox));
        for (request, failure) in
            nats.replies.take_broken(|stream| stream.broken(now, SILENCE_TIMEOUT, is_up))
        {
            flow.fail_from_remote(&request, failure, &HopChain::default());
        }
    }
}

/// Returns the engine of an inbox for credit.
fn engine_of(inbox: &str) -> &str {
    let engine = inbox.split_once(CREDIT).map_or(inbox, |(engine, _)| engine);
    engine.rsplit('.').next().unwrap_or_default()
}

fn remote(kind: Option<Kind>, message: String) -> Failure {
    Failure::Remote { kind: kind.unwrap_or(Kind::Handler), message }
}

/// Returns the failure of a request whose answer cannot be read.
fn unread(request: Option<&str>, error: &envelopes::Error) -> Failure {
    if let envelopes::Error::Full(full) = error {
        return no_memory(*full);
    }
    let message = format!("the answer cannot be read: {error}");
    tracing::error!(request, "{message}");
    Failure::Remote { kind: Kind::Lost, message }
}

/// Fails waiting requests when the server is gone and their messages are lost: all in core NATS, and streams.
async fn watch_connection(nats: Arc<Nats>, flow: Arc<Flow>) {
    let mut up = nats.connection.watch();
    while up.changed().await.is_ok() {
        if !*up.borrow_and_update() {
            for request in nats.replies.take_all(nats.options.protocol == WireProtocol::JetStream) {
                request.answer(Err(Failure::Disconnected), AnswerMeta::default());
            }
        }
        flow.nodes_changed();
    }
}

impl Nats {
    /// Returns the subject for a workflow's answers without a known inbox. JetStream only.
    pub(super) fn answers_subject(&self, workflow: usize) -> String {
        self.stages[workflow][0].answers()
    }

    fn handle_reply(self: &Arc<Self>, flow: &Flow, received: Received) {
        let id = received.subject.strip_prefix(&*self.replies.inbox).map(|rest| rest.trim_start_matches('.'));
        if received.no_responders {
            let request = id.and_then(|id| self.replies.remove(id));
            request.inspect(|request| self.no_first_node(flow, request));
            return;
        }
        let mut hops = received.headers.hops;
        if received.body.is_empty() && !hops.is_empty() {
            id.inspect(|id| self.replies.take_hops(id, &hops));
            return;
        }
        let envelope = match envelopes::read(received.body, self.options.envelope(), flow.reserve()) {
            Ok(envelope) => envelope,
            Err(error) => {
                let request = id.and_then(|id| self.replies.remove(id));
                let failure = unread(id, &error);
                request.inspect(|request| flow.fail_from_remote(request, failure, &hops));
                return;
            }
        };
        if let Some((request, stream)) = id.and_then(|id| self.replies.stream(id)) {
            let kind = received.headers.failure;
            let part = match (envelope.error.is_empty(), envelope.payload.is_some()) {
                (true, true) => self.to_answer(&request, envelope, kind).map(|payload| Part::Message {
                    payload,
                    credit: received.reply.filter(|reply| is_inbox(reply)),
                }),
                (no_error, _) => {
                    encode::fill(&mut hops, &request, &envelope.tracking);
                    let status = if no_error { Ok(()) } else { Err(remote(kind, envelope.error)) };
                    Ok(Part::End { status, hops })
                }
            };
            return self.handle_part(flow, &request, &stream, received.headers.sequence, part);
        }
        let Some(request) = self.replies.remove(id.unwrap_or(&envelope.reply)) else {
            if !envelope.error.is_empty() && envelope.reply.is_empty() && id.is_none() {
                // Runners of JetStream do this too; the request is unknown.
                tracing::error!(
                    "received an error without a request id; its client keeps waiting: {}",
                    envelope.error
                );
            }
            // Another entrypoint's answer, or a second one to the same request.
            flow.metrics().late.inc_by(u64::from(id.is_some()));
            id.inspect(|id| self.replies.take_hops(id, &hops));
            return;
        };
        encode::fill(&mut hops, &request, &envelope.tracking);
        let answer = self.to_answer(&request, envelope, received.headers.failure);
        flow.reply_from_remote(&request, answer.map(Some), &hops);
    }

    /// Takes a part of a streamed answer, and its number.
    fn handle_part(
        self: &Arc<Self>,
        flow: &Flow,
        request: &Request,
        stream: &Arrivals,
        number: Option<u64>,
        part: Result<Part, Failure>,
    ) {
        let parts = part.and_then(|part| match (number, part) {
            (Some(number), part) => stream.take(number, part, Instant::now()),
            // An engine refuses a request before its answer is a stream.
            (None, end @ Part::End { status: Err(_), .. }) => Ok(vec![end]),
            (None, _) => Err(remote(Some(Kind::Lost), "a message of the answer has no number".to_owned())),
        });
        match parts {
            Ok(parts) => parts.into_iter().for_each(|part| self.apply(flow, request, stream, part)),
            Err(failure) => {
                self.replies.remove(&request.id);
                flow.fail_from_remote(request, failure, &HopChain::default());
            }
        }
    }

    fn apply(self: &Arc<Self>, flow: &Flow, request: &Request, stream: &Arrivals, part: Part) {
        match part {
            Part::Message { payload, credit } => {
                let bytes = payload.value().len();
                let credit = credit.map(|inbox| stream.credit(self, inbox, bytes));
                flow.send(request, AnswerMessage { payload, credit });
            }
            Part::End { status, hops } => {
                self.replies.remove(&request.id);
                flow.reply_from_remote(request, status.map(|()| None), &hops);
            }
        }
    }

    /// Converts a reply to a request into its answer.
    fn to_answer(&self, request: &Request, envelope: Envelope, kind: Option<Kind>) -> Answer {
        if !envelope.error.is_empty() {
            return Err(remote(kind, envelope.error));
        }
        let Some(payload) = envelope.payload else {
            let message = "the answer has no message".to_owned();
            return Err(Failure::Remote { kind: Kind::Handler, message });
        };
        let last = envelope.tracking.last().map(|stage| &*stage.node_name).unwrap_or_default();
        let node = Name::parse(last).unwrap_or_else(|_| self.last_node(request));
        let step = Step {
            node: &node,
            last: true,
            replied: false,
            redelivered: false,
            retries_left: 0,
            redeliveries_left: 0,
            answer_type: &request.route.answer_type,
            answer_limit: request.route.answer_limit,
            streams: false,
            sent: 0,
        };
        outcome::check_answer(&step, &payload).map(|()| payload)
    }

    fn last_node(&self, request: &Request) -> Name {
        let stages = &self.stages[request.route.index];
        let last = stages.last().expect("a workflow has at least one node");
        Name::parse(&last.node).expect("the name was parsed when the package was read")
    }

    fn no_first_node(&self, flow: &Flow, request: &Request) {
        let failure = self.nodes[request.route.sequence[0]].down();
        flow.reply_from_remote(request, Err(failure), &HopChain::default());
    }

    fn no_responders(&self, flow: &Flow, about: &NoResponders<'_>) {
        let Some(stage) = self.stages.get(about.workflow).and_then(|of| of.get(about.position)) else {
            return;
        };
        let Some(node) = self.nodes.iter().find(|node| node.name.as_str() == stage.node) else { return };
        let failure = node.down();
        if about.replied {
            flow.lost_in_background(&stage.workflow, &stage.node, about.request, &failure);
        } else {
            let to = ReplyTo { reply: about.reply.to_owned(), ..ReplyTo::default() };
            self.answer(about.workflow, about.request, &to, Err(failure), None, AnswerMeta::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::{Admission, AnswerMessage, Limits, RemoteRequest, ReplySink, Route, now},
        traces::Trace,
    };
    use krt_model::{metadata::Metadata, priority::Priority};
    use std::sync::mpsc;

    /// Passes on how an answer ends.
    #[derive(Debug)]
    struct EndRecorder(mpsc::Sender<Result<(), Failure>>);

    impl ReplySink for EndRecorder {
        fn message(&self, _: AnswerMessage) {}

        fn end(&self, status: Result<(), Failure>, _: AnswerMeta) -> bool {
            self.0.send(status).is_ok()
        }
    }

    fn request() -> (Arc<Request>, mpsc::Receiver<Result<(), Failure>>) {
        let route = Route {
            workflow: Name::parse("flow").unwrap(),
            index: 0,
            sequence: vec![0],
            answer_type: String::new(),
            answer_limit: 1,
            streams: false,
            priority: false,
        };
        let admission = Arc::new(Admission::new(Limits::default()));
        admission.open();
        let (ends, ended) = mpsc::channel();
        let from = RemoteRequest {
            id: None,
            start: now(),
            deadline: None,
            trace: Trace::default(),
            metadata: Metadata::default(),
            priority: Priority::default(),
            reply: Box::new(EndRecorder(ends)),
            hops: HopChain::default(),
            replied: false,
        };
        (Request::remote(from, Arc::new(route), admission.enter(0).unwrap()), ended)
    }

    #[test]
    fn unstored_requests_are_answered_and_forgotten() {
        let waiting = Arc::new(PendingReplies { inbox: "inbox".to_owned(), state: Mutex::default() });
        let (request, ended) = request();
        waiting.add(&request);
        waiting.unsent(&request.id)("no space".to_owned());
        let failure = ended.try_recv().unwrap().unwrap_err();
        assert_eq!(failure.to_string(), "the NATS server has not stored the message: no space");
        assert!(waiting.lock().waiting.is_empty(), "what is left of each such request would never go");
    }

    #[test]
    fn failed_publishes_keep_no_request() {
        let waiting = Arc::new(PendingReplies { inbox: "inbox".to_owned(), state: Mutex::default() });
        let (request, _ended) = request();
        waiting.add(&request);
        let (unsent, id) = (waiting.unsent(&request.id), Arc::downgrade(&request));
        drop(request);
        assert!(id.upgrade().is_none(), "it ends by its deadline, and not when the server is given up");
        unsent("no space".to_owned());
    }
}
