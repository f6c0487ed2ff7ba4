//! A separate stream for one process of an older runner. JetStream only.

use crate::{Connection, Error, stream::reason};
use async_nats::jetstream::{
    self,
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures::{StreamExt as _, TryStreamExt as _};
use std::time::Duration;

/// How long messages without a consumer are kept, if the stream is never removed.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The most consumers of the stream that are listed: a faulty server may report an endless list.
const MAX_CONSUMERS: usize = 1_000;

/// The stream.
#[derive(Debug)]
pub struct PrivateStream {
    context: jetstream::Context,
    stream: Stream,
    name: String,
}

impl PrivateStream {
    /// Creates the stream `name`, with the subjects `name.*`.
    pub async fn create(connection: &Connection, name: &str) -> Result<Self, Error> {
        if !connection.client().server_info().jetstream {
            return Err(Error::NoJetStream { address: connection.address().clone() });
        }
        let context = connection.jetstream();
        let config = Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.*")],
            retention: RetentionPolicy::Interest,
            storage: StorageType::File,
            max_age: MAX_AGE,
            ..Config::default()
        };
        let made = context.get_or_create_stream(config).await;
        let stream = made.map_err(|error| Error::JetStream {
            what: format!("the stream `{name}`"),
            done: "made",
            reason: reason(&error),
        })?;
        Ok(Self { context, stream, name: name.to_owned() })
    }

    /// Returns whether any consumer takes the messages of a subject.
    pub async fn is_taken(&self, subject: &str) -> bool {
        let consumers = self.stream.consumers().take(MAX_CONSUMERS).try_collect::<Vec<_>>();
        let consumers = consumers.await.unwrap_or_default();
        consumers.iter().any(|consumer| {
            let filter = &consumer.config.filter_subject;
            (filter.is_empty() || filter == subject) && (consumer.push_bound || consumer.num_waiting > 0)
        })
    }

    /// Removes the stream. If that fails, its messages expire after a day.
    pub async fn remove(self) {
        let _ = self.context.delete_stream(&self.name).await;
    }
}
