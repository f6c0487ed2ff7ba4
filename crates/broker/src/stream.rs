//! The streams and consumers of the second era: made where they are missing, used as they are where not.

use crate::{
    Connection, Error,
    subject::{Era, Station},
};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
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

/// Makes the stream and the consumer of a station, if they are missing.
pub(crate) async fn ensure(
    context: &jetstream::Context,
    station: &Station,
    limits: Limits,
) -> Result<(), Error> {
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

async fn ensure_consumer(stream: &Stream, station: &Station, limits: Limits) -> Result<(), Error> {
    let name = &station.consumer;
    let failed = |done, error: String| failed(format!("the consumer `{name}`"), done, &error);
    let found = stream.consumer_info(name).await.ok();
    let Some(old) = found.filter(|info| info.config.deliver_subject.is_some()) else {
        let made = stream.create_consumer(config(station, limits, name.clone(), DeliverPolicy::New)).await;
        return made.map(drop).map_err(|error| failed("made", error.to_string()));
    };
    if old.push_bound {
        let reason =
            "another runner takes its messages; hint: stop it, or say `runner: external` for the node";
        return Err(failed("used", reason.to_owned()));
    }
    // One that a runner of another kind has left: ours goes on where it stopped. In between a third one is
    // there, since messages that no consumer waits for are not kept.
    let start = DeliverPolicy::ByStartSequence { start_sequence: old.ack_floor.stream_sequence + 1 };
    let between = format!("{name}-moves");
    let wrong = |error: String| failed("replaced", error);
    for (make, remove) in [(&between, name), (name, &between)] {
        let made = stream.create_consumer(config(station, limits, make.clone(), start)).await;
        made.map_err(|error| wrong(error.to_string()))?;
        stream.delete_consumer(remove).await.map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
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
