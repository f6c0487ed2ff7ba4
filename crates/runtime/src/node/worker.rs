//! One worker: a process, its link, and the task that runs both.

use super::{
    Launch, Lifeline, Node, frame,
    link::{Link, LinkEnd, Role},
    older::{self, OlderLink},
    output::{self, LineContext, Lines},
    process::{Control, Process, ProcessEnd},
    recycle::Gauge,
    warmup::{self, Warmup},
};
use crate::{flow::StageIndex, gpus::TooFew, metrics::TrackedWorker};
use krt_model::hint;
use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::UnixStream,
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

/// Time for a worker to finish its deliveries and end, after a stop.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// Time to end after SIGTERM, before SIGKILL.
pub(super) const TERM_TIMEOUT: Duration = Duration::from_millis(500);
/// Time for a process to end after its socket has closed, with no deliveries left.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The same, while clients wait.
const URGENT_EXIT_TIMEOUT: Duration = Duration::from_millis(50);
/// Interval between looks at whether a worker has finished.
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time to wait for output left in the pipes, after the process has ended.
pub(super) const OUTPUT_TIMEOUT: Duration = Duration::from_millis(200);

/// A worker that is ready.
#[derive(Debug)]
pub(super) struct Worker {
    link: Channel,
    /// The id of its guard's process.
    guard: Option<u32>,
    /// The deadline to end, once the worker is asked to.
    due: watch::Sender<Option<tokio::time::Instant>>,
    task: JoinHandle<WorkerExit>,
    /// Shows it in the metrics.
    _tracked: Option<TrackedWorker>,
}

/// The channel to a worker.
#[derive(Debug, Clone)]
enum Channel {
    /// The node protocol.
    Link(Arc<Link>),
    /// NATS, for older runners.
    Older(Arc<OlderLink>),
}

impl Channel {
    /// Takes no more deliveries.
    fn leave(&self) {
        match self {
            Self::Link(link) => link.leave(),
            Self::Older(link) => link.leave(),
        }
    }

    /// Takes no more deliveries, and asks the worker to finish its own and end.
    fn stop(&self) {
        match self {
            Self::Link(link) => link.stop(),
            Self::Older(link) => link.stop(),
        }
    }

    /// Handles the worker's end: settles its deliveries.
    fn abandon(&self, end: &ProcessEnd) {
        match self {
            Self::Link(link) => link.abandon(end),
            Self::Older(link) => link.abandon(end),
        }
    }

    /// Returns whether the worker has answered all its deliveries.
    fn is_idle(&self) -> bool {
        match self {
            Self::Link(link) => link.is_idle(),
            Self::Older(link) => link.is_idle(),
        }
    }

    /// Returns the sample of `warmup` that the worker has not answered, in words.
    fn sample(&self) -> Option<String> {
        match self {
            Self::Link(link) => link.sample(),
            Self::Older(_) => None,
        }
    }

    /// Returns the number of deliveries that the worker has answered.
    fn answered(&self) -> u64 {
        match self {
            Self::Link(link) => link.answered(),
            Self::Older(link) => link.answered(),
        }
    }
}

/// Which replica of a node a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplicaId {
    /// One that takes any message of the node.
    Any,
    /// One of an older runner, which takes the node's messages at one place.
    At(StageIndex),
}

/// How a worker ended.
#[derive(Debug)]
pub(super) struct WorkerExit {
    /// The description.
    pub(super) how: String,
    /// Whether it answered any delivery.
    pub(super) useful: bool,
}

/// Why a worker did not become ready.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum StartFailure {
    /// The process did not start.
    #[error("`{program}` cannot be started")]
    Spawn {
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There are too few GPUs.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Gpus(TooFew),
    /// It has no NATS server to talk to.
    #[error("it cannot be connected to over NATS")]
    Wire(
        #[source]
        #[diagnostic_source]
        older::WireError,
    ),
    /// It has no samples to handle first.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Warmup(#[from] warmup::Error),
    /// User code failed: an import, `init`, or a sample of `warmup`. The text is the worker's, with the traceback.
    #[error("{message}")]
    Broken {
        /// The error text.
        message: String,
    },
    /// Workers cannot be forked from the one that is ready.
    #[error("its workers cannot be forked: {reason}")]
    Unforkable {
        /// The reason, and what to do about it.
        reason: String,
    },
    /// A worker could not be forked.
    #[error("it cannot be forked")]
    Fork(#[source] io::Error),
    /// What it is forked from did not start.
    #[error("{message}")]
    Template {
        /// The error text.
        message: String,
    },
    /// The process ended before it was ready.
    #[error("its process ended before it was ready: {how}")]
    Ended {
        /// The description.
        how: String,
    },
}

impl Worker {
    /// Starts a worker and waits until its `init` has ended, and it has handled the samples of `warmup`.
    pub(super) async fn start(
        node: &Arc<Node>,
        launch: &Launch,
        slot: ReplicaId,
        lifeline: &Lifeline,
    ) -> Result<Self, StartFailure> {
        match (&launch.older, slot) {
            (Some(older), ReplicaId::At(place)) => {
                let (due, when) = watch::channel(None);
                let (link, guard, task) = older::start(node, launch, older, place, lifeline, when).await?;
                Ok(Self::new(node, Channel::Older(link), guard, false, due, task))
            }
            _ => {
                let begun = Instant::now();
                let warmup = Warmup::load(node).await?;
                let (process, socket) = Self::spawn(node, launch, lifeline, None).await?;
                Self::attach(node, Role::Worker, warmup, process, socket, begun).await
            }
        }
    }

    /// Waits until a process that was forked is ready. What it was forked from has handled the samples.
    pub(super) async fn start_forked(
        node: &Arc<Node>,
        (process, socket): (Process, UnixStream),
        begun: Instant,
    ) -> Result<Self, StartFailure> {
        Self::attach(node, Role::Worker, Warmup::default(), process, socket, begun).await
    }

    /// Starts what workers are forked from, with its end of the socket over which it is asked for them. Waits until it has
    /// handled the samples of `warmup`. Returns the writing side of the socket to its guard, too.
    pub(super) async fn start_template(
        node: &Arc<Node>,
        launch: &Launch,
        lifeline: &Lifeline,
        forks: OwnedFd,
    ) -> Result<(Self, Arc<Control>), StartFailure> {
        let begun = Instant::now();
        let warmup = Warmup::load(node).await?;
        let (process, socket) = Self::spawn(node, launch, lifeline, Some(forks)).await?;
        let control = process.control();
        let worker = Self::attach(node, Role::Template, warmup, process, socket, begun).await?;
        worker.link.stop();
        Ok((worker, control))
    }

    async fn spawn(
        node: &Node,
        launch: &Launch,
        lifeline: &Lifeline,
        forks: Option<OwnedFd>,
    ) -> Result<(Process, UnixStream), StartFailure> {
        Process::start(launch, node.run.limits, lifeline, forks)
            .await
            .map_err(|source| StartFailure::Spawn { program: launch.program.display().to_string(), source })
    }

    /// Speaks with a process until it is ready.
    async fn attach(
        node: &Arc<Node>,
        role: Role,
        warmup: Warmup,
        mut process: Process,
        socket: UnixStream,
        begun: Instant,
    ) -> Result<Self, StartFailure> {
        let (read, write) = socket.into_split();
        let link = Arc::new(Link::new(Arc::clone(node), write, role));
        link.warm_up(warmup);
        link.greet();

        let (outputs, guard) = (read_outputs(node, &link, &mut process), process.guard());
        let shares = process.shares() || role == Role::Template;
        let (ready, known) = oneshot::channel();
        let (broken, message) = oneshot::channel();
        let (due, when) = watch::channel(None);
        let (node_of_life, link_of_life) = (Arc::clone(node), Arc::clone(&link));
        let life = Lifecycle { node: node_of_life, link: link_of_life, role, process, outputs, due: when };
        let task = tokio::spawn(node.logs.around(life.run(read, ready, broken)));
        let mut worker = Self::new(node, Channel::Link(link), guard, shares, due, task);
        match known.await {
            Ok(frame::Ready { sdk, language, .. }) => {
                let elapsed = begun.elapsed().as_millis();
                tracing::debug!(node = %node.name, "ready after {elapsed} ms ({language}, sdk {sdk})");
                Ok(worker)
            }
            Err(_) => Err(match message.await {
                Ok(message) => StartFailure::Broken { message },
                Err(_) => {
                    let how = worker.ended().await.how;
                    let sample = worker.link.sample();
                    StartFailure::Ended {
                        how: sample.map_or_else(|| how.clone(), |sample| format!("{how}; {sample}")),
                    }
                }
            }),
        }
    }

    fn new(
        node: &Node,
        link: Channel,
        guard: Option<u32>,
        shares: bool,
        due: watch::Sender<Option<tokio::time::Instant>>,
        task: JoinHandle<WorkerExit>,
    ) -> Self {
        let tracked = guard.map(|guard| node.flow.metrics().track_worker(node.index, guard, shares));
        Self { link, guard, due, task, _tracked: tracked }
    }

    /// Takes no more deliveries, and asks the worker to finish its own and end. Kills it after [`GRACE`].
    pub(super) fn stop(&self) {
        self.link.stop();
        self.due.send_replace(Some(tokio::time::Instant::now() + GRACE));
    }

    /// Takes no more deliveries. The worker finishes its own, however long they take.
    pub(super) async fn finish(&self) {
        self.link.leave();
        while !self.link.is_idle() {
            tokio::time::sleep(IDLE_POLL_INTERVAL).await;
        }
    }

    /// Returns what shows how much the worker has handled and taken.
    pub(super) fn gauge(&self) -> Gauge {
        let link = self.link.clone();
        Gauge::new(self.guard, move || link.answered())
    }

    /// Waits until the worker has ended and all its deliveries are settled.
    pub(super) async fn ended(&mut self) -> WorkerExit {
        match (&mut self.task).await {
            Ok(exit) => exit,
            Err(error) => WorkerExit { how: format!("its task ended: {error}"), useful: false },
        }
    }

    /// Kills the worker at once.
    pub(super) async fn kill(mut self) {
        let end = ProcessEnd::of("the service was stopped");
        self.task.abort();
        let _ = (&mut self.task).await;
        self.link.abandon(&end);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads what a worker prints.
fn read_outputs(node: &Arc<Node>, link: &Arc<Link>, process: &mut Process) -> JoinSet<()> {
    let seen = || {
        let link = Arc::clone(link);
        move |line: &str| link.printed(line)
    };
    let mut outputs = JoinSet::new();
    let (stdout, stderr) = process.take_outputs();
    let of = LineContext::default;
    stdout.map(|output| outputs.spawn(output::read(Arc::clone(node), output, Lines::Plain, of, seen())));
    stderr.map(|output| outputs.spawn(output::read(Arc::clone(node), output, Lines::Plain, of, seen())));
    outputs
}

/// A worker from start to end.
struct Lifecycle {
    node: Arc<Node>,
    link: Arc<Link>,
    role: Role,
    process: Process,
    outputs: JoinSet<()>,
    due: watch::Receiver<Option<tokio::time::Instant>>,
}

impl Lifecycle {
    async fn run(
        mut self,
        socket: tokio::net::unix::OwnedReadHalf,
        ready: oneshot::Sender<frame::Ready>,
        broken: oneshot::Sender<String>,
    ) -> WorkerExit {
        // Watches the process as well as the socket, which a child of the worker may hold open.
        let ended = {
            let talk = self.link.run(socket, ready);
            tokio::pin!(talk);
            tokio::select! {
                biased;
                ended = &mut talk => ended,
                _ = self.process.ended() => {
                    // The worker's last frames are still in the socket.
                    tokio::time::timeout(URGENT_EXIT_TIMEOUT, talk).await.unwrap_or(LinkEnd::Closed)
                }
                () = overdue(self.due.clone()) => LinkEnd::Overdue,
            }
        };
        self.link.leave();
        let ended = match ended {
            LinkEnd::Closed => self.wait_for_exit().await,
            ended => ended,
        };
        if matches!(ended, LinkEnd::Overdue) {
            self.terminate().await;
        }
        let end = match (self.role, &ended) {
            // Workers that were forked from it go on.
            (Role::Template, LinkEnd::Closed) => self.process.ended().await,
            _ => self.process.kill().await,
        };
        if self.node.gpu.is_some() {
            self.read_outputs().await;
        }
        let end = match &ended {
            LinkEnd::Closed if self.link.is_out_of_gpu_memory() => end.after("its GPU ran out of memory"),
            LinkEnd::Closed | LinkEnd::Broken(_) => end,
            LinkEnd::Overdue => ProcessEnd::of(format!(
                "it was asked to end, and did not finish within {} s",
                GRACE.as_secs()
            )),
            LinkEnd::ProtocolError(violation) => {
                ProcessEnd::of(format!("it broke the node protocol: {}", hint::messages(violation)))
            }
            LinkEnd::Stuck => ProcessEnd::of("it kept working on a cancelled request"),
        };
        if self.role == Role::Worker {
            self.link.abandon(&end);
        }
        self.read_outputs().await;
        if let LinkEnd::Broken(message) = ended {
            let _ = broken.send(message);
        }
        tracing::debug!(node = %self.node.name, "its process ended: {}", end.how);
        WorkerExit { how: end.how, useful: self.link.answered() > 0 }
    }

    /// Reads what is left of the outputs, after the process has ended.
    async fn read_outputs(&mut self) {
        let outputs = std::mem::take(&mut self.outputs);
        let _ = tokio::time::timeout(OUTPUT_TIMEOUT, outputs.join_all()).await;
    }

    /// Waits for the process to end, after its socket has closed.
    async fn wait_for_exit(&mut self) -> LinkEnd {
        let idle = self.link.is_idle();
        let asked = self.due.borrow().is_some();
        let timeout = if idle { EXIT_TIMEOUT } else { URGENT_EXIT_TIMEOUT };
        tokio::select! {
            _ = self.process.ended() => LinkEnd::Closed,
            () = overdue(self.due.clone()) => LinkEnd::Overdue,
            // A worker that was asked to end gets its time, unless clients wait for its deliveries.
            () = tokio::time::sleep(timeout), if !(asked && idle) => LinkEnd::Closed,
        }
    }

    /// Logs that the worker did not end, and sends SIGTERM.
    async fn terminate(&mut self) {
        let (node, seconds) = (&self.node.name, GRACE.as_secs());
        tracing::warn!(node = %node, "worker of node `{node}` did not end within {seconds} s: killed");
        self.process.terminate();
        let _ = tokio::time::timeout(TERM_TIMEOUT, self.process.ended()).await;
    }
}

/// Waits for the deadline of a worker that was asked to end.
pub(super) async fn overdue(mut due: watch::Receiver<Option<tokio::time::Instant>>) {
    let when = match due.wait_for(Option::is_some).await {
        Ok(when) => *when,
        Err(_) => None,
    };
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        // The sender is gone: no stop can follow.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
