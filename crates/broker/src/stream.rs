//! The streams and consumers of the second era: made where they are missing, used as they are where not.

use crate::{
    Connection, Error,
    subject::{Era, Station},
};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, Info, pull},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use std::time::Duration;

/// What messages of the second era are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many times a message is given out at the most, before it is given up.
    pub tries: u64,
    /// How long the server hears nothing of a message before it gives it out again.
    pub ack_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tries: 5, ack_wait: Duration::from_secs(10) }
    }
}

/// How long the server knows a duplicate of a message.
const DUPLICATES: Duration = Duration::from_secs(120);
/// How long what was given up is kept.
const DEAD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many messages of a node may be in work, on all machines together.
const IN_WORK: i64 = 100_000;

/// Makes the streams of a version's workflows, the consumers of those of its nodes that are ours, and the
/// stream of what is given up, as far as they are missing.
///
/// A message is kept only for consumers that are there when it comes, so that every part makes them all.
pub async fn prepare(connection: &Connection, stations: &[Station], limits: Limits) -> Result<(), Error> {
    let context = connection.jetstream();
    if !connection.client().server_info().jetstream {
        return Err(Error::NoJetStream { address: connection.address().clone() });
    }
    for station in stations {
        ensure(&context, station, limits).await?;
    }
    if let Some(station) = stations.first() {
        ensure_dead(&context, &station.dead).await?;
    }
    Ok(())
}

/// Makes the stream of a station that is left to another runner, if it is missing, and removes a consumer
/// that we left there and nobody asks for messages: such a runner makes its own, of another kind.
pub async fn prepare_external(connection: &Connection, station: &Station) -> Result<(), Error> {
    let stream = ensure_stream(&connection.jetstream(), &station.stream).await?;
    let Ok(info) = stream.consumer_info(&station.consumer).await else { return Ok(()) };
    if info.config.deliver_subject.is_none() && info.num_waiting == 0 {
        let removed = stream.delete_consumer(&station.consumer).await;
        let what = format!("the consumer `{}`", station.consumer);
        removed.map_err(|error| failed(what, "removed", &error))?;
    }
    Ok(())
}

/// Makes the stream and the consumer of a station, if they are missing. Returns how long the server hears
/// nothing of a message before it gives it out again.
pub(crate) async fn ensure(
    context: &jetstream::Context,
    station: &Station,
    limits: Limits,
) -> Result<Duration, Error> {
    let stream = ensure_stream(context, &station.stream).await?;
    ensure_consumer(&stream, station, limits).await
}

async fn ensure_stream(context: &jetstream::Context, name: &str) -> Result<Stream, Error> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        // Upstream's: a message that all have done with is not kept.
        retention: RetentionPolicy::Interest,
        storage: StorageType::File,
        duplicate_window: DUPLICATES,
        ..Config::default()
    };
    let made = context.get_or_create_stream(config).await;
    made.map_err(|error| failed(format!("the stream `{name}`"), "made", &error))
}

/// Makes the stream of what is given up, if it is missing.
pub(crate) async fn ensure_dead(context: &jetstream::Context, name: &str) -> Result<Stream, Error> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: DEAD_FOR,
        ..Config::default()
    };
    let made = context.get_or_create_stream(config).await;
    made.map_err(|error| failed(format!("the stream `{name}`"), "made", &error))
}

/// Returns how long the server hears nothing of a message before it gives it out again.
async fn ensure_consumer(stream: &Stream, station: &Station, limits: Limits) -> Result<Duration, Error> {
    let consumer = Consumer { stream, station, limits };
    let name = &station.consumer;
    let between = format!("{name}-moves");
    let is_ours = |info: &Info| info.config.deliver_subject.is_none();
    let found = consumer.find(name).await;
    // One that a runner of another kind has left: ours goes on where it stopped. In between a third one is
    // there, since messages that no consumer waits for are not kept; it may be left of an attempt before.
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
        consumer.make(&between, start).await?;
        consumer.remove(name).await?;
    }
    if consumer.find(name).await.is_none() {
        consumer.make(name, start).await?;
    }
    if consumer.find(&between).await.is_some() {
        consumer.remove(&between).await?;
    }
    Ok(limits.ack_wait)
}

/// The consumer of a station.
struct Consumer<'a> {
    stream: &'a Stream,
    station: &'a Station,
    limits: Limits,
}

impl Consumer<'_> {
    async fn find(&self, name: &str) -> Option<Info> {
        self.stream.consumer_info(name).await.ok()
    }

    async fn make(&self, name: &str, start: DeliverPolicy) -> Result<(), Error> {
        let made =
            self.stream.create_consumer(config(self.station, self.limits, name.to_owned(), start)).await;
        made.map(drop).map_err(|error| self.failed("made", &error))
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        self.stream.delete_consumer(name).await.map(drop).map_err(|error| self.failed("removed", &error))
    }

    fn in_use(&self) -> Error {
        self.failed(
            "used",
            &"another runner takes its messages; hint: stop it, or say `runner: external` for the node",
        )
    }

    fn failed(&self, done: &'static str, error: &impl ToString) -> Error {
        failed(format!("the consumer `{}`", self.station.consumer), done, error)
    }
}

fn config(station: &Station, limits: Limits, name: String, start: DeliverPolicy) -> pull::Config {
    pull::Config {
        durable_name: Some(name),
        deliver_policy: start,
        ack_policy: AckPolicy::Explicit,
        ack_wait: limits.ack_wait,
        filter_subject: station.input(Era::JetStream).to_owned(),
        max_ack_pending: IN_WORK,
        ..pull::Config::default()
    }
}

fn failed(what: String, done: &'static str, error: &impl ToString) -> Error {
    Error::JetStream { what, done, reason: error.to_string() }
}
