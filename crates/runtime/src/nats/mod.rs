//! A version's messages over NATS: this engine is one of many that serve it.
//!
//! - [`carry`]: deliveries and answers as messages.
//! - [`waiting`]: the requests of this door, and their answers.
//! - [`station`]: what comes for the nodes of this engine.
//! - [`cancelled`]: requests that nobody waits for any more, told to all engines.
//! - [`presence`]: which nodes are up on which engine.
//! - [`writer`]: saves documents for runners that know no store.

mod cancelled;
mod carry;
mod presence;
mod station;
mod waiting;
mod writer;

pub use writer::serve as serve_writer;

use crate::{
    flow::{
        Admission, Answer, Broker, Delivery, Flow, Limits, Origin, Refused, ReplyTo, Request, Route, Trail,
    },
    traces::Traces,
};
use cancelled::Cancelled;
use krt_broker::{
    Compression, Connection, Era, Error, Place, Sender,
    sender::Unsent,
    stream,
    subject::{Station, aside},
};
use krt_model::{
    name::Name,
    outcome::{Failure, Kind},
    version::{Node, Runner, Version},
};
use presence::Presence;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waiting::Waiting;

/// How a version speaks over NATS.
#[derive(Debug, Clone)]
pub struct Options {
    /// The runtime's id.
    pub runtime: String,
    /// Like which of the two eras.
    pub era: Era,
    /// How large messages are compressed.
    pub compression: Compression,
    /// What messages of the second era are held to.
    pub stream: stream::Limits,
    /// How much may be in work for doors elsewhere.
    pub work: Limits,
    /// The largest message of the user's, bytes.
    pub message: usize,
}

/// What an envelope may have beside its message, bytes.
const ENVELOPE: usize = 1 << 20;

impl Options {
    /// The most bytes of an envelope, when it is decompressed.
    fn envelope(&self) -> usize {
        self.message.saturating_add(ENVELOPE)
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
    stations: Vec<Vec<Arc<Station>>>,
    /// By workflow.
    routes: Vec<Option<Arc<Route>>>,
    /// By their index in the version.
    nodes: Vec<OneNode>,
    /// Where our own parts speak of requests that nobody waits for.
    cancel_subject: String,
    presence_subject: String,
    /// Where a door that has just come asks who is there.
    roll_call_subject: String,
    writer_subject: String,
    waiting: Waiting,
    cancelled: Cancelled,
    presence: Presence,
    traces: Traces,
    /// Bounds what is in work here for doors elsewhere.
    work: Arc<Admission>,
}

/// What is to be known of a node.
#[derive(Debug)]
struct OneNode {
    name: Name,
    /// Whether it is run by others.
    external: bool,
    /// Whether messages wait for it while it is down.
    waits: bool,
    /// How many messages an engine handles at a time.
    places: usize,
}

impl OneNode {
    fn of(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            external: node.run.runner == Runner::External,
            waits: node.run.retries > 0,
            places: usize::from(node.run.replicas) * usize::from(node.run.concurrency),
        }
    }
}

/// What this engine does for a version.
#[derive(Debug, Clone)]
pub struct Part {
    /// Whether it has a door.
    pub door: bool,
    /// Which nodes it runs, by their index.
    pub nodes: Vec<usize>,
}

/// The tasks that listen. Dropped, they are stopped.
#[derive(Debug)]
pub struct Listening {
    nats: Arc<Nats>,
    part: Part,
    /// Those that take messages for nodes: told first to stop.
    stations: JoinSet<()>,
    closing: CancellationToken,
    others: JoinSet<()>,
}

impl Nats {
    /// Makes what is missing on the server. `routes` are the version's, by workflow.
    pub async fn open(
        connection: Connection,
        options: Options,
        version: &Version,
        routes: Vec<Option<Arc<Route>>>,
        traces: Traces,
    ) -> Result<Arc<Self>, Error> {
        let stations = stations(&options.runtime, version);
        if options.era == Era::JetStream {
            prepare(&connection, &options, version, &stations).await?;
        }
        let mut sending = JoinSet::new();
        let sender = Sender::spawn(connection.clone(), &mut sending);
        let aside = |about| aside(&options.runtime, &version.name, about);
        let work = Arc::new(Admission::new(options.work));
        work.open();
        let nats = Self {
            cancel_subject: aside("cancel"),
            presence_subject: aside("presence"),
            roll_call_subject: aside("roll-call"),
            writer_subject: krt_broker::subject::mongo_writer(&options.runtime, &version.name),
            waiting: Waiting::new(&connection),
            cancelled: Cancelled::default(),
            presence: Presence::new(version),
            connection,
            sender,
            _sending: sending,
            options,
            stations,
            routes,
            traces,
            nodes: version.nodes.iter().map(OneNode::of).collect(),
            work,
        };
        Ok(Arc::new(nats))
    }

    /// Begins to listen: for answers where there is a door, for messages where there are nodes.
    pub async fn listen(self: &Arc<Self>, flow: &Arc<Flow>, part: Part) -> Result<Listening, Error> {
        let mut listening = Listening {
            nats: Arc::clone(self),
            part: part.clone(),
            stations: JoinSet::new(),
            closing: CancellationToken::new(),
            others: JoinSet::new(),
        };
        if part.door {
            waiting::listen(self, flow, &mut listening.others).await?;
            presence::listen(self, flow, &mut listening.others).await?;
        }
        if !part.nodes.is_empty() {
            waiting::listen_for_nobody(self, flow, &mut listening.others).await?;
            cancelled::listen(self, flow, &mut listening.others).await?;
            for (workflow, position) in self.stations_of(&part.nodes) {
                let Some(route) = self.routes[workflow].clone() else { continue };
                let taker = station::Taker::new(Arc::clone(self), Arc::clone(flow), route, position);
                let intake = taker.open().await?;
                listening.stations.spawn(taker.run(intake, listening.closing.clone()));
            }
            let closing = listening.closing.clone();
            presence::tell(self, flow, part.nodes, closing, &mut listening.others).await?;
        }
        // Who is told that we are ready may send at once.
        self.connection.settled().await;
        Ok(listening)
    }

    /// The stations at which some nodes are: workflow and position.
    fn stations_of(&self, nodes: &[usize]) -> Vec<(usize, usize)> {
        let of = |(workflow, route): (usize, &Option<Arc<Route>>)| {
            let sequence = route.as_ref().map(|route| &*route.sequence).unwrap_or_default().to_vec();
            let here = move |&(_, node): &(usize, usize)| nodes.contains(&node);
            sequence.into_iter().enumerate().filter(here).map(move |(position, _)| (workflow, position))
        };
        self.routes.iter().enumerate().flat_map(of).collect()
    }

    /// Why a request of this door cannot begin now.
    ///
    /// In the first era the server says at once that nobody takes its message; in the second it would wait.
    fn refusal(&self, delivery: &Delivery) -> Option<Failure> {
        if !self.connection.is_up() {
            return Some(Failure::Disconnected);
        }
        let node = delivery.node();
        let waits = self.options.era == Era::Core || self.nodes[node].waits;
        (!waits && !self.serves(node)).then(|| Failure::Down { node: self.nodes[node].name.clone() })
    }

    /// Tells the other engines something that is of use now or never.
    fn tell_aside(&self, subject: &str, body: Vec<u8>) {
        if self.connection.is_up() {
            self.sender.send(carry::aside(subject, body), None);
        }
    }

    /// The most bytes of a message, headers included. One that is kept may be given up one day: then a
    /// reason must still fit beside it.
    fn limit(&self) -> usize {
        let server = self.connection.max_payload();
        match self.options.era {
            Era::Core => server,
            Era::JetStream => server.saturating_sub(krt_broker::dead::BESIDE),
        }
    }

    /// Sends an answer to an entrypoint elsewhere.
    fn answer(&self, workflow: usize, id: &str, to: &ReplyTo, answer: &Answer, trail: Trail) {
        let limit = self.limit();
        let Trail { tracking, receipt } = trail;
        let message = carry::answer(self, workflow, id, to, answer, &tracking);
        let message = match message.size() {
            size if size > limit => {
                let sender = carry::sender_name(&tracking);
                let failure = Failure::TooLargeToSend { sender, size, limit };
                carry::answer(self, workflow, id, to, &Err(failure), &tracking)
            }
            _ => message,
        };
        if self.options.era == Era::JetStream && to.inbox.is_none() {
            self.sender.store(message, receipt, None);
        } else {
            self.sender.send(message, receipt);
        }
    }
}

impl Broker for Nats {
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>> {
        let here = delivery.request.origin == Origin::Here;
        if let Some(failure) = here.then(|| self.refusal(&delivery)).flatten() {
            return Err(Refused::boxed(delivery, failure));
        }
        let message = carry::delivery(self, &delivery);
        let (size, limit) = (message.size(), self.limit());
        if size > limit {
            let sender = carry::sender_name(&delivery.tracking);
            return Err(Refused::boxed(delivery, Failure::TooLargeToSend { sender, size, limit }));
        }
        let request = Arc::clone(&delivery.request);
        if here {
            self.waiting.add(&request);
        }
        let receipt = delivery.handed_on();
        match self.options.era {
            Era::Core => self.sender.send(message, receipt),
            Era::JetStream => {
                let unsent: Unsent = Box::new(move |why| {
                    if request.origin == Origin::Here {
                        let words = format!("the NATS server has not stored the message: {why}");
                        let failure = Failure::Elsewhere { kind: Kind::Disconnected, words };
                        request.answer(Err(failure), Trail::default());
                    }
                });
                self.sender.store(message, receipt, Some(unsent));
            }
        }
        Ok(())
    }

    fn cancel(&self, request: &Request) {
        if request.origin == Origin::Here {
            self.waiting.remove(&request.id);
            self.tell_aside(&self.cancel_subject, request.id.as_bytes().to_vec());
        }
    }

    fn is_connected(&self) -> bool {
        self.connection.is_up()
    }

    fn serves(&self, node: usize) -> bool {
        self.connection.is_up() && (self.nodes[node].external || self.presence.is_up(node))
    }
}

impl Listening {
    /// Takes no more messages for nodes, gives back what waits for a process, and finishes the rest.
    pub async fn drain(&mut self, flow: &Flow) {
        self.closing.cancel();
        for &node in &self.part.nodes {
            flow.give_back(node);
        }
        while self.stations.join_next().await.is_some() {}
        self.nats.work.drained().await;
        self.nats.sender.flushed().await;
    }

    /// How many deliveries are in work here for doors elsewhere.
    pub fn in_work(&self) -> usize {
        self.nats.work.in_work()
    }

    /// Sends what waits, and closes the connection.
    pub async fn close(mut self) {
        self.nats.sender.flushed().await;
        self.others.shutdown().await;
        self.nats.connection.close().await;
    }
}

fn stations(runtime: &str, version: &Version) -> Vec<Vec<Arc<Station>>> {
    let of = |workflow| {
        let place = move |position| Place { runtime, version, workflow, position };
        (0..workflow.sequence.len()).map(|position| Arc::new(place(position).station())).collect()
    };
    version.workflows.iter().map(of).collect()
}

/// Every part makes all streams and consumers: a message is kept only for consumers that are there already.
async fn prepare(
    connection: &Connection,
    options: &Options,
    version: &Version,
    stations: &[Vec<Arc<Station>>],
) -> Result<(), Error> {
    let (mut ours, mut external) = (Vec::new(), Vec::new());
    for (workflow, stations) in version.workflows.iter().zip(stations) {
        for (&node, station) in workflow.sequence.iter().zip(stations) {
            let of = match version.nodes[node].run.runner {
                Runner::Krt => &mut ours,
                Runner::External => &mut external,
            };
            of.push(Station::clone(station));
        }
    }
    stream::prepare(connection, &ours, options.stream).await?;
    for station in &external {
        stream::prepare_external(connection, station).await?;
    }
    Ok(())
}
