//! The broker with a real server.

#![expect(clippy::unwrap_used, reason = "tests")]

mod connections;
mod consumers;
mod dead;
mod deliveries;
mod private;

use async_nats::{Subscriber, jetstream};
use bytes::Bytes;
use krt_broker::{
    Acker, Connection, Headers, Incoming, Intake, Message, Namespace, Sender, StageRef, WireProtocol,
    connection::Options,
    stream::{self, Limits},
    subject::Stage,
};
use krt_model::{
    address::Address,
    name::Name,
    version::{Node, RunOptions, Version, Workflow},
};
use krt_servers::{NatsOptions, NatsServer};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// A connection to a server with JetStream, and the only stage of the workflow `buying` of the version `shop-v1`.
struct Fixture {
    connection: Connection,
    sender: Sender,
    stage: Arc<Stage>,
    /// Another client of the server.
    context: jetstream::Context,
    _tasks: JoinSet<()>,
    _server: NatsServer,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn options(url: &str) -> Options {
    Options {
        servers: Address::from(url),
        name: "test".to_owned(),
        credentials: None,
        nkey: None,
        ca: None,
        certificate: None,
    }
}

fn stage() -> Stage {
    let node = Node {
        name: name("etl"),
        src: String::new(),
        language: None,
        build: None,
        image: None,
        gpu: None,
        run: RunOptions::default(),
    };
    let version = Version {
        name: name("v1"),
        description: String::new(),
        proto: String::new(),
        config: Vec::new(),
        environment: Vec::new(),
        metadata: Vec::new(),
        nodes: vec![node],
        workflows: vec![Workflow {
            name: name("buying"),
            entrypoint: "Buy".to_owned(),
            sequence: vec![0],
            priority: false,
            cache: None,
            open_inference: false,
        }],
    };
    StageRef {
        namespace: &Namespace::of_runtime("shop"),
        version: &version,
        workflow: &version.workflows[0],
        position: 0,
    }
    .stage()
}

impl Fixture {
    /// Starts a server; `None` if it is not installed.
    async fn start(test: &str) -> Option<Self> {
        let server = NatsServer::start(test, NatsOptions { jetstream: true, ..NatsOptions::default() })?;
        let (connection, mut tasks) =
            (Connection::open(&options(&server.url())).await.unwrap(), JoinSet::new());
        let client = async_nats::connect(server.url()).await.unwrap();
        Some(Self {
            sender: Sender::spawn(connection.clone(), &mut tasks),
            stage: Arc::new(stage()),
            context: jetstream::new(client),
            connection,
            _tasks: tasks,
            _server: server,
        })
    }

    async fn prepare(&self) {
        stream::prepare(&self.connection, &[Stage::clone(&self.stage)], Limits::default()).await.unwrap();
    }

    async fn intake(&self, room: usize, limits: Limits) -> Result<Intake, krt_broker::Error> {
        let stage = Arc::clone(&self.stage);
        Intake::open(&self.connection, &self.sender, WireProtocol::JetStream, stage, room, limits).await
    }

    /// Stores a message for the stage.
    fn store(&self, body: &'static str) {
        self.sender.store(self.message(body), None, None);
    }

    fn message(&self, body: &'static str) -> Message {
        let subject = self.stage.input(WireProtocol::JetStream).to_owned();
        Message { subject, reply: None, headers: Headers::default(), body: Bytes::from(body) }
    }

    /// Subscribes another client, and waits until the server knows.
    async fn subscribe(&self, subject: &'static str) -> Subscriber {
        let client = self.context.client();
        let subscriber = client.subscribe(subject).await.unwrap();
        client.request("$JS.API.INFO", Bytes::new()).await.unwrap();
        subscriber
    }

    /// The workflow's stream, as another client sees it.
    async fn stream(&self) -> jetstream::stream::Stream {
        self.context.get_stream("shop-v1-Buy").await.unwrap()
    }
}

/// Waits for an event with a timeout.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), event).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Takes the next message: its text, and what acknowledges it.
async fn take(intake: &mut Intake) -> (String, Box<Acker>) {
    let Incoming { body, acker, .. } = soon("a message", intake.next()).await.unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), acker.unwrap())
}
