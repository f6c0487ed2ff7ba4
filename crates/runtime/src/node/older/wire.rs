//! The connection to one process: its subjects, and the variables that name them.

use super::{Older, OlderBroker, message::Recipient};
use crate::{flow::StageIndex, node::Node};
use krt_broker::{
    Connection, Error, Listener, Message, PrivateStream, Received, Sender, WireProtocol,
    connection::Options,
    subject::{Namespace, StageRef},
};
use krt_loopback::nats::Account;
use krt_model::{address::Address, version::Generation};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::Interval};

/// Interval between requests to a JetStream server whether the process takes messages: before the first yes,
/// and after it.
const PROBE_INTERVAL: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Numbers the streams of one engine.
static STREAMS: AtomicU64 = AtomicU64::new(1);

/// Why a process has no connection.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum WireError {
    /// No random numbers are available.
    #[error("cannot make a token")]
    Token(#[source] io::Error),
    /// The server refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Broker(#[from] Error),
}

/// The subjects of a process.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    pub(super) input: String,
    /// `None` at the end of a workflow in core NATS.
    output: Option<String>,
    /// The prefix of requests' inboxes; in JetStream, the one subject for answers.
    replies: String,
    writer: String,
    /// Whether reply subjects end in the request's id.
    has_inboxes: bool,
}

/// The purpose of a process's subject.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// A message about a request; the subject may contain its id.
    Answer { to: Recipient, request: Option<&'a str> },
    /// A document to save.
    Document,
}

/// The engine's end of the connection to a process.
#[derive(Debug)]
pub(super) struct Wire {
    connection: Connection,
    sender: Sender,
    _sending: JoinSet<()>,
    subjects: Subjects,
    variables: Vec<(&'static str, String)>,
    /// The process's messages.
    pub(super) subscription: Subscription,
    /// Whether the process takes messages.
    pub(super) presence: Presence,
}

/// Receives the messages of a process.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Messages to the process arrive here too.
    input: String,
    listener: Listener,
    /// JetStream: documents have another subject than answers.
    documents: Option<Listener>,
}

/// Knows whether the process takes messages.
#[derive(Debug)]
pub(super) enum Presence {
    /// krt's own server reports it.
    Notified { input: String, account: Account, changed: watch::Receiver<()> },
    /// The engine asks a JetStream server.
    Polled { input: String, stream: Box<PrivateStream>, ask: Interval, taken: bool },
}

impl Subjects {
    fn core(stage: &StageRef<'_>, replies: String) -> Self {
        Self {
            input: stage.input(WireProtocol::Core),
            output: stage.output(WireProtocol::Core),
            replies,
            writer: stage.mongo_writer(),
            has_inboxes: true,
        }
    }

    /// Returns the subjects for JetStream; `stream` replaces the workflow's stream.
    fn jetstream(stage: &StageRef<'_>, stream: &str) -> Self {
        let shared = stage.stream();
        let own = |subject: String| subject.replacen(&shared, stream, 1);
        Self {
            input: own(stage.input(WireProtocol::JetStream)),
            output: stage.output(WireProtocol::JetStream).map(own),
            replies: own(stage.entrypoint()),
            writer: format!("{stream}-mongo-writer"),
            has_inboxes: false,
        }
    }

    /// Returns the reply subject of a request.
    pub(super) fn reply(&self, request: &str) -> String {
        if self.has_inboxes { format!("{}.{request}", self.replies) } else { request.to_owned() }
    }

    /// Returns the inbox of a request, if inboxes are used.
    pub(super) fn inbox(&self, request: &str) -> Option<String> {
        self.has_inboxes.then(|| self.reply(request))
    }

    /// Returns the purpose of a subject; `None` if it is not one of these.
    pub(super) fn purpose<'a>(&self, subject: &'a str) -> Option<Purpose<'a>> {
        if subject == self.writer {
            return Some(Purpose::Document);
        }
        // In JetStream, the last node sends its answers to the entrypoint.
        if self.output.as_deref() == Some(subject) && subject != self.replies {
            return Some(Purpose::Answer { to: Recipient::Next, request: None });
        }
        let rest = subject.strip_prefix(&*self.replies)?;
        match (self.has_inboxes, rest.strip_prefix('.')) {
            (true, Some(request)) => Some(Purpose::Answer { to: Recipient::Client, request: Some(request) }),
            (false, None) if rest.is_empty() => {
                Some(Purpose::Answer { to: Recipient::Client, request: None })
            }
            _ => None,
        }
    }
}

impl Wire {
    /// Creates what a process at a place needs on its server.
    pub(super) async fn open(node: &Node, older: &Older, place: StageIndex) -> Result<Self, WireError> {
        // The process has a server or a stream of its own, so its names need not be those of the version.
        let namespace = Namespace::of_runtime(&*node.hello.runtime);
        let stage = stage(node, &namespace, place);
        match &older.broker {
            OlderBroker::Core(server) => {
                let account = server.open().map_err(WireError::Token)?;
                let url = Address::from(&*account.url());
                let connection = connect(url.clone(), node).await?;
                let subjects = Subjects::core(&stage, connection.new_inbox());
                // All messages of the process, in order.
                let listener = Listener::open(&connection, ">".to_owned()).await?;
                let changed = account.watch();
                let presence = Presence::Notified { input: subjects.input.clone(), account, changed };
                Ok(Self::new(node, older, &stage, (connection, url, subjects), (listener, None), presence))
            }
            OlderBroker::JetStream { connection, server, engine } => {
                let number = STREAMS.fetch_add(1, Ordering::Relaxed);
                let stream = format!("{}@{engine}-{number}", stage.stream());
                let subjects = Subjects::jetstream(&stage, &stream);
                let made = PrivateStream::create(connection, &stream).await?;
                let listener = Listener::open(connection, format!("{stream}.*")).await?;
                let documents = Some(Listener::open(connection, subjects.writer.clone()).await?);
                let (input, ask) = (subjects.input.clone(), tokio::time::interval(PROBE_INTERVAL[0]));
                let presence = Presence::Polled { input, stream: Box::new(made), ask, taken: false };
                let mut wire = Self::new(
                    node,
                    older,
                    &stage,
                    ((**connection).clone(), server.clone(), subjects),
                    (listener, documents),
                    presence,
                );
                wire.name_stream(&stage, stream);
                Ok(wire)
            }
        }
    }

    fn new(
        node: &Node,
        older: &Older,
        stage: &StageRef<'_>,
        (connection, server, subjects): (Connection, Address, Subjects),
        (listener, documents): (Listener, Option<Listener>),
        presence: Presence,
    ) -> Self {
        let mut sending = JoinSet::new();
        let sender = Sender::spawn(connection.clone(), &mut sending);
        let variables = variables(node, older, stage, &subjects, &server);
        let subscription = Subscription { input: subjects.input.clone(), listener, documents };
        Self { connection, sender, _sending: sending, subjects, variables, subscription, presence }
    }

    /// Adds the variables for JetStream.
    fn name_stream(&mut self, stage: &StageRef<'_>, stream: String) {
        self.variables.extend([
            ("KRT_NATS_STREAM", stream),
            ("KRT_IS_LAST_NODE", stage.is_last().to_string()),
            ("KRT_NATS_ENTRYPOINT_SUBJECT", self.subjects.replies.clone()),
            ("KRT_NATS_INPUTS", self.subjects.input.clone()),
        ]);
    }

    /// The environment variables that describe the connection.
    pub(super) fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }

    pub(super) fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Returns the largest message, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.connection.max_payload()
    }

    /// Removes what was created for the process.
    pub(super) async fn close(self) {
        match self.presence {
            Presence::Notified { .. } => self.connection.close().await,
            Presence::Polled { stream, .. } => stream.remove().await,
        }
    }
}

impl Subscription {
    /// Waits for the next message of the process; `None` if no more can arrive.
    pub(super) async fn next(&mut self) -> Option<Received> {
        loop {
            let received = match &mut self.documents {
                None => self.listener.next().await?,
                Some(documents) => tokio::select! {
                    received = self.listener.next() => received?,
                    received = documents.next() => received?,
                },
            };
            if received.subject != self.input {
                return Some(received);
            }
        }
    }
}

impl Presence {
    /// Waits until the process may have started or stopped taking messages.
    pub(super) async fn changed(&mut self) {
        match self {
            Self::Notified { changed, .. } => {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Polled { input, stream, ask, taken } => loop {
                ask.tick().await;
                let now = stream.is_taken(input).await;
                if now != *taken {
                    *taken = now;
                    *ask = tokio::time::interval(PROBE_INTERVAL[usize::from(now)]);
                    return;
                }
            },
        }
    }

    /// Returns whether the process takes messages.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Notified { input, account, .. } => account.is_taken(input),
            Self::Polled { taken, .. } => *taken,
        }
    }
}

/// Builds a message for the process.
pub(super) fn to_process(subject: &str, reply: Option<String>, body: bytes::Bytes) -> Message {
    Message { subject: subject.to_owned(), reply, headers: krt_broker::Headers::default(), body }
}

fn stage<'a>(node: &'a Node, namespace: &'a Namespace, (workflow, position): StageIndex) -> StageRef<'a> {
    let version = &node.package.version;
    StageRef { namespace, version, workflow: &version.workflows[workflow], position }
}

async fn connect(servers: Address, node: &Node) -> Result<Connection, Error> {
    let name = format!("krt {}", node.name);
    let options = Options { servers, name, credentials: None, nkey: None, ca: None, certificate: None };
    Connection::open(&options).await
}

/// The variables of KRT v1 (docs/reference/krt-v1.md#environment-of-a-node).
///
/// Runners end where one that they know is not set, even to nothing.
fn variables(
    node: &Node,
    older: &Older,
    stage: &StageRef<'_>,
    subjects: &Subjects,
    server: &Address,
) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    debug_assert_eq!(subjects.has_inboxes, older.runner.generation == Generation::Core);
    vec![
        ("KRT_WORKFLOW_NAME", stage.workflow.name.to_string()),
        ("KRT_VERSION_ID", text(&node.hello.version_id)),
        ("KRT_VERSION", text(&node.hello.version)),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_NATS_SERVER", text(server.secret())),
        ("KRT_NATS_INPUT", subjects.input.clone()),
        ("KRT_NATS_OUTPUT", subjects.output.clone().unwrap_or_default()),
        ("KRT_NATS_MONGO_WRITER", subjects.writer.clone()),
        ("KRT_BASE_PATH", text(&node.hello.base_path)),
        ("KRT_HANDLER_PATH", node.package.version.nodes[node.index].src.clone()),
        ("KRT_MONGO_URI", text(older.mongo.secret())),
        ("KRT_INFLUX_URI", text(older.influx.secret())),
        ("KRT_RUNTIME_ID", text(stage.namespace.runtime())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_of_subjects() {
        let subjects = |output: Option<&str>, replies: &str, has_inboxes| Subjects {
            input: "in".to_owned(),
            output: output.map(str::to_owned),
            replies: replies.to_owned(),
            writer: "writer".to_owned(),
            has_inboxes,
        };
        let (middle, last) = (subjects(Some("out"), "_INBOX.x", true), subjects(None, "_INBOX.x", true));
        let second = subjects(Some("s.next"), "s.entrypoint", false);
        let second_last = subjects(Some("s.entrypoint"), "s.entrypoint", false);
        let answer = |to, request| Some(Purpose::Answer { to, request });
        for (subjects, subject, purpose) in [
            (&middle, "out", answer(Recipient::Next, None)),
            (&middle, "_INBOX.x.id", answer(Recipient::Client, Some("id"))),
            (&middle, "_INBOX.x", None),
            (&middle, "_INBOX.xy.id", None),
            (&middle, "writer", Some(Purpose::Document)),
            (&middle, "other", None),
            (&last, "out", None),
            (&last, "_INBOX.x.id", answer(Recipient::Client, Some("id"))),
            (&second, "s.next", answer(Recipient::Next, None)),
            (&second, "s.entrypoint", answer(Recipient::Client, None)),
            (&second, "s.entrypoint.x", None),
            (&second_last, "s.entrypoint", answer(Recipient::Client, None)),
        ] {
            assert_eq!(subjects.purpose(subject), purpose, "{subjects:?} {subject}");
        }
        assert_eq!((middle.reply("id"), second.reply("id")), ("_INBOX.x.id".to_owned(), "id".to_owned()));
    }
}
