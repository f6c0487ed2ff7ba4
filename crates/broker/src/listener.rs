//! Hears what is sent to a subject now; what is sent while nobody listens is not kept.

use crate::{Connection, Error, Headers};
use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;

/// A message that was heard.
#[derive(Debug)]
pub struct Heard {
    /// Where it was sent to.
    pub subject: String,
    /// Where the sender waits for an answer, if it does.
    pub reply: Option<String>,
    /// What stands beside it.
    pub headers: Headers,
    /// The message.
    pub body: Bytes,
    /// The server's own word that nobody listens where this inbox was the reply of a message.
    pub nobody: bool,
}

/// Hears messages.
#[derive(Debug)]
pub struct Listener(Subscriber);

impl Listener {
    /// Listens to a subject, whoever else does. It may end in `*`, one word, or `>`, any.
    pub async fn open(connection: &Connection, subject: String) -> Result<Self, Error> {
        connection.client().subscribe(subject).await.map(Self).map_err(|_| Error::Closed)
    }

    /// Listens to a subject as one of a group, of which one hears each message.
    pub async fn open_in(connection: &Connection, subject: String, group: String) -> Result<Self, Error> {
        connection.client().queue_subscribe(subject, group).await.map(Self).map_err(|_| Error::Closed)
    }

    /// Waits for the next message; `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<Heard> {
        let message = self.0.next().await?;
        Some(Heard {
            subject: message.subject.to_string(),
            reply: message.reply.map(|reply| reply.to_string()),
            headers: Headers::read(message.headers.as_ref()),
            body: message.payload,
            nobody: message.status == Some(StatusCode::NO_RESPONDERS),
        })
    }
}
