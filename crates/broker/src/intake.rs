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
use std::sync::Arc;

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
    Queue(Subscriber),
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
                subscribed.map(Self::Queue).map_err(|_| Error::Closed)
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
            Self::Queue(subscriber) => subscriber.next().await.map(|message| Incoming {
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
            Self::Queue(subscriber) => {
                // Fails if the connection is closed for good, in which case nothing arrives.
                let _ = subscriber.drain().await;
            }
            Self::Pull(pull) => pull.close(),
        }
    }
}
