//! The streams and consumers of JetStream: created if missing, otherwise used unchanged.

mod replicas;

use crate::{
    Connection, Error,
    subject::{Namespace, Stage, WireProtocol},
};
use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, Info, pull},
    context::{DeleteStreamError, DeleteStreamErrorKind},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures::TryStreamExt as _;
use krt_model::name::Name;
use std::time::Duration;

/// Limits on the messages of JetStream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum deliveries of a message before it is given up.
    pub tries: u64,
    /// How long the server waits for news of a message before it redelivers it.
    pub ack_wait: Duration,
    /// Servers of a cluster that keep each stream. If `None`, new streams are kept on one, and existing
    /// streams stay as they are.
    pub replicas: Option<u8>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tries: 5, ack_wait: Duration::from_secs(10), replicas: None }
    }
}

/// How long the server recognises duplicates of a message.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long dead letters are kept.
const DEAD_LETTER_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Messages of a node that may be in flight, on all machines together.
const MAX_IN_FLIGHT: i64 = 100_000;

/// Creates the streams of a version's workflows, the consumers of the nodes that krt runs, and the stream of
/// dead letters, if they are missing.
///
/// A message is kept only for consumers that exist when it arrives, so every engine creates all of them.
pub async fn prepare(connection: &Connection, stages: &[Stage], limits: Limits) -> Result<(), Error> {
    let context = connection.jetstream();
    require(connection)?;
    for stage in stages {
        ensure(&context, stage, limits).await?;
    }
    if let Some(stage) = stages.first() {
        ensure_dead(&context, &stage.dead, limits.replicas).await?;
    }
    Ok(())
}

/// Fails where the server has no JetStream.
pub fn require(connection: &Connection) -> Result<(), Error> {
    match connection.client().server_info().jetstream {
        true => Ok(()),
        false => Err(Error::NoJetStream { address: connection.address().clone() }),
    }
}

/// Creates the stream of a stage that another runner serves, if it is missing. Removes an unused consumer
/// that krt left there, since such a runner creates its own, of another kind.
pub async fn prepare_external(connection: &Connection, stage: &Stage, limits: Limits) -> Result<(), Error> {
    let stream = ensure_stream(&connection.jetstream(), &stage.stream, limits.replicas).await?;
    let Ok(info) = stream.consumer_info(&stage.consumer).await else { return Ok(()) };
    if info.config.deliver_subject.is_none() && info.num_waiting == 0 {
        let removed = stream.delete_consumer(&stage.consumer).await;
        let what = format!("the consumer `{}`", stage.consumer);
        removed.map_err(|error| failed(what, "removed", &error))?;
    }
    Ok(())
}

/// Removes the streams of a version on a team's server, with what waits in them and its dead letters, or those of
/// all versions of the runtime. Missing ones are no error.
pub async fn remove(
    connection: &Connection,
    namespace: &Namespace,
    version: Option<&Name>,
) -> Result<(), Error> {
    let context = connection.jetstream();
    let names: Vec<String> = context
        .stream_names()
        .try_filter(|name| std::future::ready(namespace.has_stream(name, version)))
        .try_collect()
        .await
        .map_err(|error| failed("the streams".to_owned(), "listed", &error))?;
    for name in names {
        match context.delete_stream(&name).await {
            Err(error) if !is_missing(&error) => {
                return Err(failed(format!("the stream `{name}`"), "removed", &error));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn is_missing(error: &DeleteStreamError) -> bool {
    let code = ErrorCode::STREAM_NOT_FOUND;
    matches!(error.kind(), DeleteStreamErrorKind::JetStream(error) if error.error_code() == code)
}

/// Creates the stream and the consumer of a stage, if they are missing. Returns how long the server waits for
/// news of a message before it redelivers it.
pub(crate) async fn ensure(
    context: &jetstream::Context,
    stage: &Stage,
    limits: Limits,
) -> Result<Duration, Error> {
    let stream = ensure_stream(context, &stage.stream, limits.replicas).await?;
    ensure_consumer(&stream, stage, limits).await
}

async fn ensure_stream(
    context: &jetstream::Context,
    name: &str,
    replicas: Option<u8>,
) -> Result<Stream, Error> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        // Upstream's choice: messages acknowledged by all consumers are not kept.
        retention: RetentionPolicy::Interest,
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    replicas::ensure(context, config, replicas).await
}

/// Creates the stream of dead letters, if it is missing.
pub(crate) async fn ensure_dead(
    context: &jetstream::Context,
    name: &str,
    replicas: Option<u8>,
) -> Result<Stream, Error> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: DEAD_LETTER_MAX_AGE,
        ..Config::default()
    };
    replicas::ensure(context, config, replicas).await
}

/// Returns how long the server waits for news of a message before it redelivers it.
async fn ensure_consumer(stream: &Stream, stage: &Stage, limits: Limits) -> Result<Duration, Error> {
    let consumer = Consumer { stream, stage, limits };
    let name = &stage.consumer;
    let between = format!("{name}-moves");
    let is_ours = |info: &Info| info.config.deliver_subject.is_none();
    let found = consumer.find(name).await;
    // Another runner left its consumer: krt's own continues where that one stopped. In between, a third
    // consumer keeps new messages, as they are not stored without one. It may be left from an earlier
    // attempt.
    let left = consumer.find(&between).await;
    let start = match (&found, &left) {
        (Some(info), None) if is_ours(info) => return Ok(info.config.ack_wait),
        (None, None) => DeliverPolicy::New,
        (Some(info), _) if info.push_bound => return Err(consumer.in_use()),
        (Some(old), _) | (None, Some(old)) => {
            DeliverPolicy::ByStartSequence { start_sequence: old.ack_floor.stream_sequence + 1 }
        }
    };
    if found.is_some_and(|info| !is_ours(&info)) {
        consumer.create(&between, start).await?;
        consumer.remove(name).await?;
    }
    if consumer.find(name).await.is_none() {
        consumer.create(name, start).await?;
    }
    if consumer.find(&between).await.is_some() {
        consumer.remove(&between).await?;
    }
    Ok(limits.ack_wait)
}

/// The consumer of a stage.
struct Consumer<'a> {
    stream: &'a Stream,
    stage: &'a Stage,
    limits: Limits,
}

impl Consumer<'_> {
    async fn find(&self, name: &str) -> Option<Info> {
        self.stream.consumer_info(name).await.ok()
    }

    async fn create(&self, name: &str, start: DeliverPolicy) -> Result<(), Error> {
        let made = self.stream.create_consumer(config(self.stage, self.limits, name.to_owned(), start)).await;
        made.map(drop).map_err(|error| self.failed("made", &error))
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        self.stream.delete_consumer(name).await.map(drop).map_err(|error| self.failed("removed", &error))
    }

    fn in_use(&self) -> Error {
        Error::InUse { what: self.name() }
    }

    fn failed(&self, done: &'static str, error: &impl ToString) -> Error {
        failed(self.name(), done, error)
    }

    fn name(&self) -> String {
        format!("the consumer `{}`", self.stage.consumer)
    }
}

fn config(stage: &Stage, limits: Limits, name: String, start: DeliverPolicy) -> pull::Config {
    pull::Config {
        durable_name: Some(name),
        deliver_policy: start,
        ack_policy: AckPolicy::Explicit,
        ack_wait: limits.ack_wait,
        filter_subject: stage.input(WireProtocol::JetStream).to_owned(),
        max_ack_pending: MAX_IN_FLIGHT,
        ..pull::Config::default()
    }
}

/// The longest text of a server's error that is repeated, bytes.
const MAX_REASON: usize = 1 << 10;

/// The server's words, if they are not too many.
pub(crate) fn reason(error: &impl ToString) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}

fn failed(what: String, done: &'static str, error: &impl ToString) -> Error {
    Error::JetStream { what, done, reason: reason(error) }
}
