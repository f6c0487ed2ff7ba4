//! Incoming messages of one stage of a workflow.

mod pull;

use crate::{
    Acker, Connection, Error, Headers, Sender,
    stream::Limits,
    subject::{Stage, WireProtocol},
};
use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt as _;
use pull::Pull;
use std::{sync::Arc, time::Duration};

/// An incoming message.
#[derive(Debug)]
pub struct Incoming {
    /// The subject on which the sender waits for an answer, if any.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// The envelope.
    pub body: Bytes,
    /// Acknowledges it. JetStream only.
    pub acker: Option<Box<Acker>>,
}

/// Takes the messages of one stage, shared with all others that take from it.
#[derive(Debug)]
pub enum Intake {
    /// Core NATS: the server pushes messages, whether or not there is room.
    Queue(Queue),
    /// JetStream: the engine pulls messages when there is room.
    Pull(Box<Pull>),
}

impl Intake {
    /// Starts to take messages; `room` is the number that may be in flight here. JetStream only.
    pub async fn open(
        connection: &Connection,
        sender: &Sender,
        protocol: WireProtocol,
        stage: Arc<Stage>,
        room: usize,
        limits: Limits,
    ) -> Result<Self, Error> {
        let subject = stage.input(protocol).to_owned();
        match protocol {
            WireProtocol::Core => {
                let group = stage.queue_group.clone();
                let subscribed = connection.client().queue_subscribe(subject, group).await;
                let subscriber = subscribed.map_err(|_| Error::Closed)?;
                Ok(Self::Queue(Queue { subscriber, connection: connection.clone() }))
            }
            WireProtocol::JetStream => {
                let pull = Pull::open(connection, sender, stage, room, limits).await?;
                Ok(Self::Pull(Box::new(pull)))
            }
        }
    }

    /// Waits for the next message; `None` if no more can arrive.
    pub async fn next(&mut self) -> Option<Incoming> {
        match self {
            Self::Queue(queue) => queue.subscriber.next().await.map(|message| Incoming {
                reply: message.reply.map(|reply| reply.to_string()),
                headers: Headers::read(message.headers.as_ref()),
                body: message.payload,
                acker: None,
            }),
            Self::Pull(pull) => pull.next().await,
        }
    }

    /// Requests no more messages. Those in transit still arrive; after them, `next` returns `None`.
    pub async fn close(&mut self) {
        match self {
            Self::Queue(queue) => end(&mut queue.subscriber, &queue.connection).await,
            Self::Pull(pull) => pull.close().await,
        }
    }
}

/// A member of a queue group.
#[derive(Debug)]
pub struct Queue {
    subscriber: Subscriber,
    connection: Connection,
}

/// How long messages in transit are waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends a subscription. What the server has sent before it knew can still be taken; after it, the subscriber ends.
///
/// `Subscriber::drain` loses those messages: the client forgets a subscription as soon as it has written UNSUB. It keeps
/// one that ends after a number of messages. To the server, a number this large means to end at once.
async fn end(subscriber: &mut Subscriber, connection: &Connection) {
    const AT_ONCE: u64 = u64::MAX;
    // Both fail if the connection is closed for good, in which case nothing arrives.
    let _ = subscriber.unsubscribe_after(AT_ONCE).await;
    if connection.is_up() {
        connection.settled(CLOSE_TIMEOUT).await;
    }
    let _ = subscriber.unsubscribe().await;
}

#[cfg(test)]
mod tests;
