//! A version's messages over NATS, where several engines may serve the version.
//!
//! - [`encode`]: deliveries and answers as messages.
//! - [`answers`]: answers on their way to other ingresses.
//! - [`no_responders`]: reports that a message has no receiver.
//! - [`replies`]: the requests of this ingress, and their answers.
//! - [`streams`]: the messages of answers that are streams.
//! - [`consumer`]: messages for the nodes of this engine.
//! - [`cancelled`]: cancelled requests, announced to all engines.
//! - [`remote`]: requests of other ingresses: reply addresses and ackers.
//! - [`presence`]: the nodes that are up on each engine.
//! - [`writer`]: saves documents for runners that know no store.
//! - [`server`]: the server, and how versions use it.

mod answers;
mod cancelled;
mod consumer;
mod encode;
mod no_responders;
mod presence;
mod remote;
mod replies;
mod server;
mod streams;
mod writer;

pub use server::{Server, ServerConfig, ServerError, ServerState};
pub use writer::serve as serve_writer;

use crate::{
    flow::{Admission, Broker, Delivery, Flow, Limits, Refused, Request, Route, no_memory},
    memory::Pool,
    traces::Traces,
};
use cancelled::Cancellations;
use krt_broker::{
    Compression, Connection, Error, Namespace, Sender, StageRef, WireProtocol, stream, subject::Stage,
};
use krt_model::{
    name::Name,
    outcome::Failure,
    version::{Node, Runner, Version},
};
use presence::Presence;
use remote::RemoteReply;
use replies::PendingReplies;
use std::{sync::Arc, time::Duration};
use streams::Streams;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A version's settings for NATS.
#[derive(Debug, Clone)]
pub struct Options {
    /// The runtime, and how its name appears in subjects.
    pub namespace: Namespace,
    /// The wire protocol.
    pub protocol: WireProtocol,
    /// The compression of large messages.
    pub compression: Compression,
    /// The limits of the JetStream streams.
    pub stream: stream::Limits,
    /// Limits on the work in flight for other ingresses.
    pub work: Limits,
    /// The user's largest message, in bytes.
    pub message: usize,
}

/// How long the server is waited for until it knows the subscriptions.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of an envelope besides its message.
const ENVELOPE_OVERHEAD: usize = 1 << 20;

impl Options {
    /// Returns the largest envelope, decompressed, in bytes.
    fn envelope(&self) -> usize {
        self.message.saturating_add(ENVELOPE_OVERHEAD)
    }
}

/// The broker of a version over NATS.
#[derive(Debug)]
pub struct Nats {
    connection: Connection,
    sender: Sender,
    _sending: JoinSet<()>,
    options: Options,
    /// By workflow, then by position in its sequence.
    stages: Vec<Vec<Arc<Stage>>>,
    /// By workflow.
    routes: Vec<Option<Arc<Route>>>,
    /// By index in the version.
    nodes: Vec<NodeInfo>,
    /// Where engines announce cancelled requests.
    cancel_subject: String,
    presence_subject: String,
    /// Where a new ingress asks for the engines present.
    roll_call_subject: String,
    writer_subject: String,
    replies: Arc<PendingReplies>,
    streams: Arc<Streams>,
    cancelled: Cancellations,
    presence: Presence,
    traces: Traces,
    /// Bounds the work in flight for other ingresses.
    work: Arc<Admission>,
}

/// Facts about a node.
#[derive(Debug)]
struct NodeInfo {
    name: Name,
    /// Whether it runs outside krt.
    external: bool,
    /// Whether messages wait for it while it is down.
    waits: bool,
    /// Messages that an engine handles at a time, those of a batch included.
    places: usize,
}

impl NodeInfo {
    fn of(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            external: node.run.runner == Runner::External,
            waits: node.run.retries > 0,
            places: usize::from(node.run.replicas.max)
                * usize::from(node.run.concurrency)
                * node.run.batch.map_or(1, |batch| usize::from(batch.max)),
        }
    }

    /// Returns the failure for a node that is down.
    fn down(&self) -> Failure {
        let node = self.name.clone();
        if self.external { Failure::NoRunner { node } } else { Failure::Down { node } }
    }
}

/// This engine's part in a version.
#[derive(Debug, Clone)]
pub struct Part {
    /// Whether it has an ingress.
    pub ingress: bool,
    /// The nodes it runs, by index.
    pub nodes: Vec<usize>,
}

/// The listening tasks. Dropping them aborts them.
#[derive(Debug)]
pub struct ListenTasks {
    nats: Arc<Nats>,
    part: Part,
    /// Tasks that take messages for nodes; they stop first.
    stages: JoinSet<()>,
    closing: CancellationToken,
    others: JoinSet<()>,
}

impl Nats {
    /// Creates the streams and consumers missing on the server. `routes` are the version's, by workflow.
    pub async fn open(
        connection: Connection,
        options: Options,
        version: &Version,
        routes: Vec<Option<Arc<Route>>>,
        traces: Traces,
    ) -> Result<Arc<Self>, Error> {
        let stages = stages(&options.namespace, version);
        if options.protocol == WireProtocol::JetStream {
            prepare(&connection, &options, version, &stages).await?;
        }
        let mut sending = JoinSet::new();
        let sender = Sender::spawn(connection.clone(), &mut sending);
        let engine_subject = |about| options.namespace.engine_subject(&version.name, about);
        let work = Arc::new(Admission::new(options.work));
        work.open();
        let nats = Self {
            cancel_subject: engine_subject("cancel"),
            presence_subject: engine_subject("presence"),
            roll_call_subject: engine_subject("roll-call"),
            writer_subject: options.namespace.mongo_writer(&version.name),
            replies: Arc::new(PendingReplies::new(&connection)),
            streams: Arc::default(),
            cancelled: Cancellations::default(),
            presence: Presence::new(version),
            connection,
            sender,
            _sending: sending,
            options,
            stages,
            routes,
            traces,
            nodes: version.nodes.iter().map(NodeInfo::of).collect(),
            work,
        };
        Ok(Arc::new(nats))
    }

    /// The state of the server.
    pub fn server(&self) -> ServerState {
        ServerState::of(&self.connection, self.options.protocol)
    }

    /// The memory pool of the messages.
    pub fn memory(&self) -> &Arc<Pool> {
        self.work.memory()
    }

    /// Starts to listen: for answers if there is an ingress, for messages if there are nodes.
    pub async fn listen(self: &Arc<Self>, flow: &Arc<Flow>, part: Part) -> Result<ListenTasks, Error> {
        let mut listening = ListenTasks {
            nats: Arc::clone(self),
            part: part.clone(),
            stages: JoinSet::new(),
            closing: CancellationToken::new(),
            others: JoinSet::new(),
        };
        if part.ingress {
            replies::listen(self, flow, &mut listening.others).await?;
            presence::listen(self, flow, &mut listening.others).await?;
        }
        if !part.nodes.is_empty() {
            replies::listen_for_no_responders(self, flow, &mut listening.others).await?;
            cancelled::listen(self, flow, &mut listening.others).await?;
            streams::listen(self, &mut listening.others).await?;
            for (workflow, position) in self.stages_of(&part.nodes) {
                let Some(route) = self.routes[workflow].clone() else { continue };
                let taker = consumer::StageConsumer::new(Arc::clone(self), Arc::clone(flow), route, position);
                let intake = taker.open().await?;
                listening.stages.spawn(taker.run(intake, listening.closing.clone()));
            }
            let closing = listening.closing.clone();
            presence::send_heartbeats(self, flow, part.nodes, closing, &mut listening.others).await?;
        }
        // Clients may send as soon as this engine reports that it is ready.
        self.connection.settled(SUBSCRIBE_TIMEOUT).await;
        Ok(listening)
    }

    /// Returns the stages of some nodes: workflow and position.
    fn stages_of(&self, nodes: &[usize]) -> Vec<(usize, usize)> {
        let of = |(workflow, route): (usize, &Option<Arc<Route>>)| {
            let sequence = route.as_ref().map(|route| &*route.sequence).unwrap_or_default().to_vec();
            let here = move |&(_, node): &(usize, usize)| nodes.contains(&node);
            sequence.into_iter().enumerate().filter(here).map(move |(position, _)| (workflow, position))
        };
        self.routes.iter().enumerate().flat_map(of).collect()
    }

    /// Returns why a request of this ingress cannot start now.
    ///
    /// In core NATS the server reports at once that a message has no receiver; in JetStream the message would
    /// wait.
    fn refusal(&self, delivery: &Delivery) -> Option<Failure> {
        if !self.connection.is_up() {
            return Some(Failure::Disconnected);
        }
        let node = delivery.node();
        let waits = self.options.protocol == WireProtocol::Core || self.nodes[node].waits;
        (!waits && !self.serves(node)).then(|| self.nodes[node].down())
    }

    /// Sends the calls of handlers to the entrypoint of a request that it has cancelled.
    fn report(&self, request: &Request) {
        let hops = request.hops();
        let Some(to) = RemoteReply::address(request) else { return };
        let inbox = match self.options.protocol {
            WireProtocol::Core => Some(&to.reply).filter(|inbox| !inbox.is_empty()),
            WireProtocol::JetStream => to.inbox.as_ref(),
        };
        if let Some(inbox) = inbox.filter(|_| !hops.is_empty() && !request.replied()) {
            self.sender.send(encode::hops(inbox, hops), None);
        }
    }

    /// Sends a message to the other engines, unless the connection is down: it is useless later.
    fn send_to_engines(&self, subject: &str, body: Vec<u8>) {
        if self.connection.is_up() {
            self.sender.send(encode::engine_message(subject, body), None);
        }
    }

    /// Returns the largest message, including headers, in bytes. A stored message leaves room for the reason
    /// that a dead letter adds.
    fn limit(&self) -> usize {
        let server = self.connection.max_payload();
        match self.options.protocol {
            WireProtocol::Core => server,
            WireProtocol::JetStream => server.saturating_sub(krt_broker::dead::MAX_HEADERS),
        }
    }
}

impl Broker for Nats {
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>> {
        let here = RemoteReply::address(&delivery.request).is_none();
        if let Some(failure) = here.then(|| self.refusal(&delivery)).flatten() {
            return Err(Refused::boxed(delivery, failure));
        }
        let message = match encode::delivery(self, &delivery) {
            Ok(message) => message,
            Err(full) => return Err(Refused::boxed(delivery, no_memory(full))),
        };
        let limit = self.limit();
        let (message, size) = encode::within(message, limit);
        if size > limit {
            let sender = encode::sender_name(&delivery.tracking);
            return Err(Refused::boxed(delivery, Failure::TooLargeToSend { sender, size, limit }));
        }
        if here {
            self.replies.add(&delivery.request);
        }
        let unsent = here.then(|| self.replies.unsent(&delivery.request.id));
        let acker = delivery.into_acker().map(remote::of_intake);
        match self.options.protocol {
            WireProtocol::Core => self.sender.send(message, acker),
            WireProtocol::JetStream => self.sender.store(message, acker, unsent),
        }
        Ok(())
    }

    fn cancel(&self, request: &Request) {
        if RemoteReply::address(request).is_none() {
            self.replies.leave(request);
            self.send_to_engines(&self.cancel_subject, request.id.as_bytes().to_vec());
        }
    }

    fn is_connected(&self) -> bool {
        self.connection.is_up()
    }

    fn serves(&self, node: usize) -> bool {
        self.connection.is_up() && (self.nodes[node].external || self.presence.is_up(node))
    }
}

impl ListenTasks {
    /// Takes no more messages for nodes, gives back what waits for a process, and finishes the rest.
    pub async fn drain(&mut self, flow: &Flow) {
        self.closing.cancel();
        for &node in &self.part.nodes {
            flow.return_waiting(node);
        }
        while self.stages.join_next().await.is_some() {}
        self.nats.work.drained().await;
        self.nats.sender.flushed().await;
    }

    /// Returns the number of deliveries in flight for other ingresses.
    pub fn in_flight(&self) -> usize {
        self.nats.work.in_flight()
    }

    /// Sends what is queued, and closes the connection.
    pub async fn close(mut self) {
        self.nats.replies.close();
        self.nats.sender.flushed().await;
        self.others.shutdown().await;
        self.nats.connection.close().await;
    }
}

fn stages(namespace: &Namespace, version: &Version) -> Vec<Vec<Arc<Stage>>> {
    let of = |workflow| {
        let place = move |position| StageRef { namespace, version, workflow, position };
        (0..workflow.sequence.len()).map(|position| Arc::new(place(position).stage())).collect()
    };
    version.workflows.iter().map(of).collect()
}

/// Creates the streams and consumers. Every engine creates all of them, as messages are kept only for
/// existing consumers.
async fn prepare(
    connection: &Connection,
    options: &Options,
    version: &Version,
    stages: &[Vec<Arc<Stage>>],
) -> Result<(), Error> {
    let (mut ours, mut external) = (Vec::new(), Vec::new());
    for (workflow, stages) in version.workflows.iter().zip(stages) {
        for (&node, stage) in workflow.sequence.iter().zip(stages) {
            let of = match version.nodes[node].run.runner {
                Runner::Krt | Runner::Older(_) => &mut ours,
                Runner::External => &mut external,
            };
            of.push(Stage::clone(stage));
        }
    }
    stream::prepare(connection, &ours, options.stream).await?;
    for stage in &external {
        stream::prepare_external(connection, stage, options.stream).await?;
    }
    Ok(())
}
