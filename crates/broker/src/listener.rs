//! Receives the current messages on a subject. Messages sent without a listener are lost.

use crate::{Connection, Error, Headers};
use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use std::time::Duration;

/// A received message.
#[derive(Debug)]
pub struct Received {
    /// Its subject.
    pub subject: String,
    /// The subject on which the sender waits for an answer, if any.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// The message.
    pub body: Bytes,
    /// Whether this is the server's report, in the reply inbox of a message, that the message had no
    /// receiver.
    pub no_responders: bool,
}

/// Receives messages, across clients if one fails.
#[derive(Debug)]
pub struct Listener {
    connection: Connection,
    subject: String,
    group: Option<String>,
    subscriber: Subscriber,
}

/// The pause before a new subscription.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl Listener {
    /// Listens to a subject, besides any other listeners. It may end in `*`, one word, or `>`, any words.
    pub async fn open(connection: &Connection, subject: String) -> Result<Self, Error> {
        Self::subscribe(connection, subject, None).await
    }

    /// Listens to a subject in a group, where only one member gets each message.
    pub async fn open_in(connection: &Connection, subject: String, group: String) -> Result<Self, Error> {
        Self::subscribe(connection, subject, Some(group)).await
    }

    async fn subscribe(
        connection: &Connection,
        subject: String,
        group: Option<String>,
    ) -> Result<Self, Error> {
        let subscriber = subscribe(connection, &subject, group.as_deref()).await?;
        Ok(Self { connection: connection.clone(), subject, group, subscriber })
    }

    /// Waits for the next message; `None` if the connection is closed for good.
    pub async fn next(&mut self) -> Option<Received> {
        loop {
            if let Some(message) = self.subscriber.next().await {
                return Some(received(message));
            }
            if self.connection.is_closed() {
                return None;
            }
            tokio::time::sleep(RETRY_DELAY).await;
            if let Ok(subscriber) = subscribe(&self.connection, &self.subject, self.group.as_deref()).await {
                self.subscriber = subscriber;
            }
        }
    }
}

async fn subscribe(connection: &Connection, subject: &str, group: Option<&str>) -> Result<Subscriber, Error> {
    let (client, subject) = (connection.client(), subject.to_owned());
    let subscribed = match group {
        Some(group) => client.queue_subscribe(subject, group.to_owned()).await,
        None => client.subscribe(subject).await,
    };
    subscribed.map_err(|_| Error::Closed)
}

fn received(message: Message) -> Received {
    Received {
        subject: message.subject.to_string(),
        reply: message.reply.map(|reply| reply.to_string()),
        headers: Headers::read(message.headers.as_ref()),
        body: message.payload,
        no_responders: message.status == Some(StatusCode::NO_RESPONDERS),
    }
}
