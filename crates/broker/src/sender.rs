//! Sends messages in order, in a separate task, so that senders never wait.
//!
//! The limit on requests in flight bounds the queue: a request has at most one message and one early reply in
//! it, or what of a stream may wait for its client.

use crate::{Acker, Connection, Headers, connection::STORE_TIMEOUT};
use async_nats::{HeaderMap, Subject, client::PublishError, jetstream};
use bytes::Bytes;
use futures::FutureExt as _;
use std::{fmt, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

/// An outgoing message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// The inbox for the server's report that the subject has no listener.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// The envelope.
    pub body: Bytes,
}

impl Message {
    /// Returns its size as the server counts it, including headers, in bytes.
    pub fn size(&self) -> usize {
        /// Bytes of a header besides its name and value, and of the header block.
        const HEADER_OVERHEAD: usize = 64;
        let headers = self.headers.to_map().unwrap_or_default();
        let of = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| {
            values
                .iter()
                .map(|value| AsRef::<str>::as_ref(name).len() + value.as_str().len() + 4)
                .sum::<usize>()
        };
        self.body.len() + headers.iter().map(of).sum::<usize>() + HEADER_OVERHEAD
    }
}

/// Called with the reason if a message could not be stored.
pub type OnUnsent = Box<dyn FnOnce(String) + Send>;

/// How long storing a message is attempted. Servers of a cluster need up to 9 s to elect another leader of a
/// stream.
const RETRY_FOR: Duration = Duration::from_secs(15);
/// The pause before the second attempt. It doubles with each further one, up to the longest.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// An acknowledgement of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckKind {
    /// Its work is done.
    Ack,
    /// It is still in flight.
    Progress,
    /// It is given back, and may be redelivered after a pause.
    Nak(Duration),
}

impl AckKind {
    fn bytes(self) -> Bytes {
        match self {
            Self::Ack => Bytes::from_static(b"+ACK"),
            Self::Progress => Bytes::from_static(b"+WPI"),
            Self::Nak(Duration::ZERO) => Bytes::from_static(b"-NAK"),
            Self::Nak(pause) => format!("-NAK {{\"delay\": {}}}", pause.as_nanos()).into(),
        }
    }
}

enum Job {
    Send(Message, Option<Box<Acker>>),
    Store(Stored),
    Acknowledge(Subject, AckKind),
    Flush(oneshot::Sender<()>),
}

struct Stored {
    subject: String,
    headers: Option<HeaderMap>,
    body: Bytes,
    acker: Option<Box<Acker>>,
    unsent: Option<OnUnsent>,
}

/// Accepts messages to send.
#[derive(Clone)]
pub struct Sender {
    connection: Connection,
    jobs: mpsc::UnboundedSender<Job>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    /// Spawns the sending task in `tasks`. It ends with the last sender.
    pub fn spawn(connection: Connection, tasks: &mut JoinSet<()>) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        tasks.spawn(run(connection.clone(), queue));
        Self { connection, jobs }
    }

    /// Sends a message to the current listeners, then acknowledges with the acker.
    ///
    /// While the connection has room, the message goes there directly, without a switch of tasks.
    pub fn send(&self, message: Message, acker: Option<Box<Acker>>) {
        match publish(&self.connection, message.clone()).now_or_never() {
            Some(sent) => self::sent(sent, acker),
            None => self.put(Job::Send(message, acker)),
        }
    }

    /// Sends a message as [`Sender::send`] does, after all that were sent this way before.
    pub fn send_in_order(&self, message: Message, acker: Option<Box<Acker>>) {
        self.put(Job::Send(message, acker));
    }

    /// Stores a message in its stream. Once it is stored, acknowledges with the acker. If it cannot be
    /// stored, gives the acker's message back and calls `unsent`.
    pub fn store(&self, message: Message, acker: Option<Box<Acker>>, unsent: Option<OnUnsent>) {
        let Message { subject, headers, body, .. } = message;
        self.put(Job::Store(Stored { subject, headers: headers.to_map(), body, acker, unsent }));
    }

    /// Stores a message with the given headers.
    pub(crate) fn store_raw(&self, subject: String, headers: HeaderMap, body: Bytes, acker: Box<Acker>) {
        let stored = Stored { subject, headers: Some(headers), body, acker: Some(acker), unsent: None };
        self.put(Job::Store(stored));
    }

    pub(crate) fn mark(&self, subject: Subject, mark: AckKind) {
        self.put(Job::Acknowledge(subject, mark));
    }

    /// Waits until all messages accepted so far are sent or stored.
    pub async fn flushed(&self) {
        let (done, known) = oneshot::channel();
        self.put(Job::Flush(done));
        // Fails if the task has ended, in which case nothing is left.
        let _ = known.await;
    }

    fn put(&self, job: Job) {
        // Fails if the program is ending, with nothing left that waits.
        let _ = self.jobs.send(job);
    }
}

async fn run(connection: Connection, mut queue: mpsc::UnboundedReceiver<Job>) {
    let mut storing = JoinSet::new();
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            Some(_) = storing.join_next() => continue,
        };
        match job {
            Some(Job::Send(message, acker)) => sent(publish(&connection, message).await, acker),
            Some(Job::Store(stored)) => {
                storing.spawn(store(connection.clone(), stored));
            }
            Some(Job::Acknowledge(subject, mark)) => {
                // Fails if the connection is closed for good, in which case the server redelivers the
                // message.
                let _ = connection.client().publish(subject, mark.bytes()).await;
            }
            Some(Job::Flush(done)) => {
                while storing.join_next().await.is_some() {}
                let _ = done.send(());
            }
            None => break,
        }
    }
    storing.join_all().await;
}

async fn publish(connection: &Connection, message: Message) -> Result<(), PublishError> {
    let Message { subject, reply, headers, body } = message;
    let client = connection.client();
    match (reply, headers.to_map()) {
        (None, None) => client.publish(subject, body).await,
        (None, Some(headers)) => client.publish_with_headers(subject, headers, body).await,
        (Some(reply), None) => client.publish_with_reply(subject, reply, body).await,
        (Some(reply), Some(headers)) => {
            client.publish_with_reply_and_headers(subject, reply, headers, body).await
        }
    }
}

fn sent(sent: Result<(), PublishError>, acker: Option<Box<Acker>>) {
    match sent {
        Ok(()) => {
            if let Some(acker) = acker {
                acker.ack();
            }
        }
        Err(error) => tracing::error!("a message was not sent over NATS: {error}"),
    }
}

async fn store(connection: Connection, stored: Stored) {
    let Stored { subject, headers, body, acker, unsent } = stored;
    let (mut pause, until) = (INITIAL_BACKOFF, Instant::now() + RETRY_FOR);
    loop {
        let tried = store_once(&connection.jetstream(), &subject, headers.clone(), body.clone()).await;
        let Err(error) = tried else {
            if let Some(acker) = acker {
                acker.ack();
            }
            return;
        };
        if Instant::now() + pause > until {
            tracing::error!("a message for `{subject}` was not stored: {error}");
            if let Some(unsent) = unsent {
                unsent(error.to_string());
            }
            return;
        }
        tracing::warn!("a message for `{subject}` was not stored, and is sent again: {error}");
        tokio::time::sleep(pause).await;
        pause = MAX_BACKOFF.min(pause * 2);
    }
}

/// Stores a message once, even if sent twice: the server recognises its id.
async fn store_once(
    context: &jetstream::Context,
    subject: &str,
    headers: Option<HeaderMap>,
    body: Bytes,
) -> Result<(), async_nats::Error> {
    let mut message = jetstream::message::PublishMessage::build().payload(body);
    if let Some(headers) = headers {
        message = message.headers(headers);
    }
    let stored = async { context.send_publish(subject.to_owned(), message).await?.await };
    tokio::time::timeout(STORE_TIMEOUT, stored).await??;
    Ok(())
}
