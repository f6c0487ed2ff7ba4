//! Sends what is to be sent, in order, by a task of its own, so that nobody who sends has to wait.
//!
//! The queue is bounded by who may be in work: a request has at most one message and one early reply in it.

use crate::{Connection, Headers, Receipt, connection::STORED_WITHIN};
use async_nats::{HeaderMap, Subject, client::PublishError, jetstream};
use bytes::Bytes;
use futures::FutureExt as _;
use std::{fmt, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it goes.
    pub subject: String,
    /// Where the server says that nobody listens there.
    pub reply: Option<String>,
    /// What stands beside the envelope.
    pub headers: Headers,
    /// The envelope.
    pub body: Bytes,
}

impl Message {
    /// Its bytes as the server counts them: the headers count, too.
    pub fn size(&self) -> usize {
        /// What a header costs beside its name and its value, and all of them together.
        const AROUND: usize = 64;
        let headers = self.headers.to_map().unwrap_or_default();
        let of = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| {
            values
                .iter()
                .map(|value| AsRef::<str>::as_ref(name).len() + value.as_str().len() + 4)
                .sum::<usize>()
        };
        self.body.len() + headers.iter().map(of).sum::<usize>() + AROUND
    }
}

/// Hears that a message could not be stored, and why.
pub type Unsent = Box<dyn FnOnce(String) + Send>;

/// How often it is tried to store a message, before it counts as unsent.
const TRIES: u32 = 4;
/// The pause before the second try; before each further one it is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// What the server is told of a message that was taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Its work is done.
    Done,
    /// It is still in work.
    InProgress,
    /// It is given back, and may be given out again after a pause.
    Back(Duration),
}

impl Mark {
    fn bytes(self) -> Bytes {
        match self {
            Self::Done => Bytes::from_static(b"+ACK"),
            Self::InProgress => Bytes::from_static(b"+WPI"),
            Self::Back(Duration::ZERO) => Bytes::from_static(b"-NAK"),
            Self::Back(pause) => format!("-NAK {{\"delay\": {}}}", pause.as_nanos()).into(),
        }
    }
}

enum Job {
    Send(Message, Option<Receipt>),
    Store(Stored),
    Mark(Subject, Mark),
    Flush(oneshot::Sender<()>),
}

struct Stored {
    subject: String,
    headers: Option<HeaderMap>,
    body: Bytes,
    receipt: Option<Receipt>,
    unsent: Option<Unsent>,
}

/// Takes what is to be sent.
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
    /// Starts the task that sends, among `tasks`. It ends when nobody can send any more.
    pub fn spawn(connection: Connection, tasks: &mut JoinSet<()>) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        tasks.spawn(run(connection.clone(), queue));
        Self { connection, jobs }
    }

    /// Sends a message to whoever listens now; the receipt is marked as done behind it.
    ///
    /// While the connection has room, it goes there at once: one task less on the way of every message.
    pub fn send(&self, message: Message, receipt: Option<Receipt>) {
        match publish(&self.connection, message.clone()).now_or_never() {
            Some(sent) => self::sent(sent, receipt),
            None => self.put(Job::Send(message, receipt)),
        }
    }

    /// Has a message stored in its stream. Only when it is there the receipt is marked as done; when it
    /// cannot be stored the receipt's message is given back, and `unsent` is told.
    pub fn store(&self, message: Message, receipt: Option<Receipt>, unsent: Option<Unsent>) {
        let Message { subject, headers, body, .. } = message;
        self.put(Job::Store(Stored { subject, headers: headers.to_map(), body, receipt, unsent }));
    }

    /// Has a message stored with headers as they are.
    pub(crate) fn store_raw(&self, subject: String, headers: HeaderMap, body: Bytes, receipt: Receipt) {
        let stored = Stored { subject, headers: Some(headers), body, receipt: Some(receipt), unsent: None };
        self.put(Job::Store(stored));
    }

    pub(crate) fn mark(&self, subject: Subject, mark: Mark) {
        self.put(Job::Mark(subject, mark));
    }

    /// Waits until all that was handed in has been sent, or stored.
    pub async fn flushed(&self) {
        let (done, known) = oneshot::channel();
        self.put(Job::Flush(done));
        // Fails when the task has ended: then nothing is left.
        let _ = known.await;
    }

    fn put(&self, job: Job) {
        // Fails when the program ends, and nobody waits for anything any more.
        let _ = self.jobs.send(job);
    }
}

async fn run(connection: Connection, mut queue: mpsc::UnboundedReceiver<Job>) {
    let context = connection.jetstream();
    let mut storing = JoinSet::new();
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            Some(_) = storing.join_next() => continue,
        };
        match job {
            Some(Job::Send(message, receipt)) => sent(publish(&connection, message).await, receipt),
            Some(Job::Store(stored)) => {
                storing.spawn(store(context.clone(), stored));
            }
            Some(Job::Mark(subject, mark)) => {
                // Fails when the connection is closed for good: then the server gives the message out again.
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

fn sent(sent: Result<(), PublishError>, receipt: Option<Receipt>) {
    match sent {
        Ok(()) => {
            if let Some(receipt) = receipt {
                receipt.done();
            }
        }
        Err(error) => tracing::error!("a message was not sent over NATS: {error}"),
    }
}

async fn store(context: jetstream::Context, stored: Stored) {
    let Stored { subject, headers, body, receipt, unsent } = stored;
    let mut pause = PAUSE;
    for attempt in 1..=TRIES {
        match store_once(&context, &subject, headers.clone(), body.clone()).await {
            Ok(()) => {
                if let Some(receipt) = receipt {
                    receipt.done();
                }
                return;
            }
            Err(error) if attempt == TRIES => {
                tracing::error!("a message for `{subject}` was not stored: {error}");
                if let Some(unsent) = unsent {
                    unsent(error.to_string());
                }
                return;
            }
            Err(error) => {
                tracing::warn!("a message for `{subject}` was not stored, and is sent again: {error}");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

/// Twice the same message is stored once: it has an id, by which the server knows it again.
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
    tokio::time::timeout(STORED_WITHIN, stored).await??;
    Ok(())
}
