//! Executables built with an older runner of KRT v1. Such a process speaks NATS, with the engine in the role
//! of its entrypoint and of every other node.
//!
//! Each process has its own subjects, so the engine knows what it is handling: a message goes to a process
//! that has room, and if that process dies, its requests are answered at once.
//!
//! - [`wire`]: the connection to a process, and the variables that describe it.
//! - [`link`]: one process, as its node's queue sees it.
//! - [`message`]: the meaning of a process's message.

mod link;
mod message;
mod wire;

pub(super) use link::OlderLink;
pub use wire::WireError;

use super::{
    Launch, Lifeline, Node,
    output::{self, LineContext, Lines},
    process::{Process, ProcessEnd},
    worker::{EXIT_TIMEOUT, OUTPUT_TIMEOUT, StartFailure, TERM_TIMEOUT, WorkerExit, overdue},
};
use crate::flow::StageIndex;
use krt_broker::Connection;
use krt_loopback::nats::Handle;
use krt_model::{address::Address, version::OlderRunner};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use wire::Wire;

/// Interval between checks of the deliveries in flight.
const TICK: Duration = Duration::from_millis(50);

/// Services for the processes of a node.
#[derive(Debug)]
pub struct Older {
    /// The runner that they were built with.
    pub runner: OlderRunner,
    /// The NATS server shared with the engine.
    pub broker: OlderBroker,
    /// The server for documents.
    pub mongo: Address,
    /// The server for measurements.
    pub influx: Address,
}

/// The NATS server for processes of older runners.
#[derive(Debug, Clone)]
pub enum OlderBroker {
    /// Plain NATS, with an account per process.
    Core(Handle),
    /// A JetStream server, with a stream per process.
    JetStream {
        /// The engine's connection.
        connection: Box<Connection>,
        /// The address for processes.
        server: Address,
        /// Names this engine, as others may use the server.
        engine: String,
    },
}

/// Starts a process and waits until it takes messages, which is after its `init`. Returns its guard's id, too.
pub(super) async fn start(
    node: &Arc<Node>,
    launch: &Launch,
    older: &Arc<Older>,
    place: StageIndex,
    lifeline: &Lifeline,
    due: watch::Receiver<Option<Instant>>,
) -> Result<(Arc<OlderLink>, Option<u32>, JoinHandle<WorkerExit>), StartFailure> {
    let begun = Instant::now();
    let wire = Wire::open(node, older, place).await.map_err(StartFailure::Wire)?;
    let mut process = Process::start_older(launch, node.run.limits, lifeline, wire.variables())
        .await
        .map_err(|source| StartFailure::Spawn { program: launch.program.display().to_string(), source })?;
    let link = Arc::new(OlderLink::new(Arc::clone(node), place, &wire));
    let (outputs, guard) = (read_outputs(node, &link, &mut process), process.guard());
    let (ready, known) = oneshot::channel();
    let life = Lifecycle { node: Arc::clone(node), link: Arc::clone(&link), wire, process, outputs, due };
    let mut task = tokio::spawn(node.logs.around(life.run(ready)));
    if known.await.is_ok() {
        tracing::debug!(node = %node.name, "ready after {} ms (kre-go)", begun.elapsed().as_millis());
        return Ok((link, guard, task));
    }
    let how = match (&mut task).await {
        Ok(exit) => exit.how,
        Err(error) => format!("its task ended: {error}"),
    };
    Err(StartFailure::Ended { how })
}

fn read_outputs(node: &Arc<Node>, link: &Arc<OlderLink>, process: &mut Process) -> JoinSet<()> {
    let mut outputs = JoinSet::new();
    let of = |link: &Arc<OlderLink>| {
        let link = Arc::clone(link);
        move || LineContext { subject: link.subject(), workflow: Some(link.workflow().clone()) }
    };
    let (stdout, stderr) = process.take_outputs();
    stdout.map(|output| {
        outputs.spawn(output::read(Arc::clone(node), output, Lines::Records, of(link), |_| ()))
    });
    stderr.map(|output| {
        outputs.spawn(output::read(Arc::clone(node), output, Lines::Records, of(link), |_| ()))
    });
    outputs
}

/// A process from start to end.
struct Lifecycle {
    node: Arc<Node>,
    link: Arc<OlderLink>,
    wire: Wire,
    process: Process,
    outputs: JoinSet<()>,
    due: watch::Receiver<Option<Instant>>,
}

impl Lifecycle {
    async fn run(mut self, ready: oneshot::Sender<()>) -> WorkerExit {
        let is_stuck = self.handle_messages(ready).await;
        self.link.leave();
        let end = self.process.kill().await;
        let end = if is_stuck { ProcessEnd::of("it kept working on a cancelled request") } else { end };
        // Its last messages are still in transit.
        let _ = tokio::time::timeout(OUTPUT_TIMEOUT, self.drain()).await;
        self.link.abandon(&end);
        let outputs = std::mem::take(&mut self.outputs);
        let _ = tokio::time::timeout(OUTPUT_TIMEOUT, outputs.join_all()).await;
        self.wire.close().await;
        tracing::debug!(node = %self.node.name, "its process ended: {}", end.how);
        WorkerExit { how: end.how, useful: self.link.answered() > 0 }
    }

    /// Handles messages until the process has ended or must end. Returns whether it is stuck.
    async fn handle_messages(&mut self, ready: oneshot::Sender<()>) -> bool {
        let mut ready = Some(ready);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut exit_deadline = None;
        loop {
            tokio::select! {
                biased;
                received = self.wire.subscription.next() => match received {
                    Some(received) => self.link.handle_message(received),
                    None => return false,
                },
                _ = self.process.ended() => return false,
                () = overdue(self.due.clone()) => {
                    self.process.terminate();
                    let _ = tokio::time::timeout(TERM_TIMEOUT, self.process.ended()).await;
                    return false;
                }
                () = self.wire.presence.changed() => self.update_presence(&mut ready),
                _ = tick.tick() => {
                    if self.link.give_up_overdue() {
                        return true;
                    }
                }
            }
            if exit_deadline.is_none() && self.link.is_done() {
                self.process.terminate();
                exit_deadline = Some(Instant::now() + EXIT_TIMEOUT);
            }
            if exit_deadline.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
        }
    }

    /// Handles a process that may have started or stopped taking messages.
    fn update_presence(&self, ready: &mut Option<oneshot::Sender<()>>) {
        if !self.link.set_accepting(self.wire.presence.is_taken()) {
            return;
        }
        if let Some(ready) = ready.take() {
            // Fails if the service is stopping, with no receiver left.
            let _ = ready.send(());
        }
    }

    async fn drain(&mut self) {
        while let Some(received) = self.wire.subscription.next().await {
            self.link.handle_message(received);
            if self.link.is_idle() {
                return;
            }
        }
    }
}
