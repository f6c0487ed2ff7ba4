//! What comes for one station of a workflow.

mod pull;

use crate::{
    Connection, Error, Headers, Receipt, Sender,
    stream::Limits,
    subject::{Era, Station},
};
use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt as _;
use pull::Pull;
use std::sync::Arc;

/// A message that came.
#[derive(Debug)]
pub struct Incoming {
    /// Where the sender waits for an answer, if it does.
    pub reply: Option<String>,
    /// What stands beside the envelope.
    pub headers: Headers,
    /// The envelope.
    pub body: Bytes,
    /// What the server is told of it. Second era only.
    pub receipt: Option<Receipt>,
}

/// Takes the messages of one station, as one of all that take from it.
#[derive(Debug)]
pub enum Intake {
    /// First era: the server hands them out, whether there is room or not.
    Queue(Subscriber),
    /// Second era: they are asked for when there is room.
    Pull(Box<Pull>),
}

impl Intake {
    /// Begins to take messages; `room` is how many may be in work here at a time. Second era only.
    pub async fn open(
        connection: &Connection,
        sender: &Sender,
        era: Era,
        station: Arc<Station>,
        room: usize,
        limits: Limits,
    ) -> Result<Self, Error> {
        let subject = station.input(era).to_owned();
        match era {
            Era::Core => {
                let group = station.queue_group.clone();
                let subscribed = connection.client().queue_subscribe(subject, group).await;
                subscribed.map(Self::Queue).map_err(|_| Error::Closed)
            }
            Era::JetStream => {
                let pull = Pull::open(connection, sender, station, room, limits).await?;
                Ok(Self::Pull(Box::new(pull)))
            }
        }
    }

    /// Waits for the next message; `None` when no more can come.
    pub async fn next(&mut self) -> Option<Incoming> {
        match self {
            Self::Queue(subscriber) => subscriber.next().await.map(|message| Incoming {
                reply: message.reply.map(|reply| reply.to_string()),
                headers: Headers::read(message.headers.as_ref()),
                body: message.payload,
                receipt: None,
            }),
            Self::Pull(pull) => pull.next().await,
        }
    }

    /// Asks for no more. What is on its way still comes; after it, `next` gives `None`.
    pub async fn close(&mut self) {
        match self {
            Self::Queue(subscriber) => {
                // Fails when the connection is closed for good: then nothing comes.
                let _ = subscriber.drain().await;
            }
            Self::Pull(pull) => pull.close(),
        }
    }
}
