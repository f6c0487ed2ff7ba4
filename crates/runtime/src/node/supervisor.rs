//! Starts the workers of all nodes, keeps them up, and stops them.

use super::{
    Launch, Lifeline, Node, NodeGpus,
    backoff::Backoff,
    recycle::{Allowance, RecycleReason},
    worker::{ReplicaId, StartFailure, Worker, WorkerExit},
};
use crate::gpus::{Gpus, Request, Reservation, TooFew};
use krt_model::{hint, name::Name};
use miette::Diagnostic;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Interval between messages about a node that is still starting.
const START_REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Time limit for all workers to end; each needs less, as it is killed otherwise.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// All workers of a version, kept up until [`Nodes::stop`].
#[derive(Debug)]
pub struct Nodes {
    replicas: Vec<Replica>,
    stop: CancellationToken,
    /// The workers' GPUs.
    _gpus: Arc<Reservation>,
}

/// One replica of a node, kept up by its task.
#[derive(Debug)]
struct Replica {
    node: usize,
    restart: Arc<Notify>,
    task: JoinHandle<()>,
}

/// The nodes that did not start, in the package's order.
#[derive(Debug)]
pub struct StartError {
    /// The nodes and their reasons.
    failures: Vec<(Name, StartFailure)>,
}

impl From<(Name, TooFew)> for StartError {
    fn from((node, too_few): (Name, TooFew)) -> Self {
        Self { failures: vec![(node, StartFailure::Gpus(too_few))] }
    }
}

impl StartError {
    /// Returns one reason per node, with its hints.
    pub fn reasons(&self) -> Vec<String> {
        let reason = |(node, failed): &(Name, StartFailure)| {
            format!("node `{node}` does not start: {}", hint::chain(failed))
        };
        self.failures.iter().map(reason).collect()
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = |(node, failed): &(Name, StartFailure)| {
            format!("node `{node}` does not start: {}", hint::messages(failed))
        };
        f.write_str(&self.failures.iter().map(reason).collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for StartError {}

impl Diagnostic for StartError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.failures.iter().map(|(_, failed)| failed as &dyn Diagnostic)))
    }
}

impl Nodes {
    /// Starts all workers of all nodes at once, and waits until they are ready.
    ///
    /// If any fails, returns all failures and ends the others. If `gpus` are too few, starts none. Dropping the
    /// future ends everything it started.
    pub async fn start(
        nodes: impl IntoIterator<Item = (Arc<Node>, Launch)>,
        lifeline: &Arc<Lifeline>,
        gpus: &Arc<Gpus>,
    ) -> Result<Self, StartError> {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let (launches, reservation) = with_gpus(&nodes, gpus)?;
        let mut starting = JoinSet::new();
        for ((node, _), launches) in nodes.iter().zip(launches) {
            for (slot, launch) in launches {
                let node = Arc::clone(node);
                let place = ReplicaContext { node, launch, slot, lifeline: Arc::clone(lifeline) };
                let logs = place.node.logs.clone();
                starting.spawn(logs.around(async move {
                    let worker = place.fill().await;
                    (place, worker)
                }));
            }
        }
        let (mut workers, mut failures) = (Vec::new(), Vec::new());
        while let Some(started) = starting.join_next().await {
            match started {
                Ok((place, Ok(worker))) => workers.push((place, worker)),
                Ok((place, Err(failed))) => failures.push((place.node, failed)),
                Err(error) => tracing::error!("a starting worker was lost: {error}"),
            }
        }
        if failures.is_empty() {
            return Ok(Self::new(workers, reservation));
        }
        for (_, worker) in workers {
            worker.kill().await;
        }
        failures.sort_by_key(|(node, _)| node.index);
        failures.dedup_by_key(|(node, _)| node.index);
        Err(StartError {
            failures: failures.into_iter().map(|(node, failed)| (node.name.clone(), failed)).collect(),
        })
    }

    fn new(workers: Vec<(ReplicaContext, Worker)>, gpus: Arc<Reservation>) -> Self {
        let stop = CancellationToken::new();
        let replica = |(place, worker): (ReplicaContext, Worker)| {
            let restart = Arc::new(Notify::new());
            let (node, logs) = (place.node.index, place.node.logs.clone());
            let keeper = ReplicaSupervisor {
                place,
                restart: Arc::clone(&restart),
                stop: stop.clone(),
                old: JoinSet::new(),
            };
            Replica { node, restart, task: tokio::spawn(logs.around(keeper.run(worker))) }
        };
        Self { replicas: workers.into_iter().map(replica).collect(), stop, _gpus: gpus }
    }

    /// Replaces the workers of a node. Old workers continue until the new ones are ready, and stay if these
    /// fail.
    pub fn restart(&self, node: usize) {
        for replica in self.replicas.iter().filter(|replica| replica.node == node) {
            replica.restart.notify_one();
        }
    }

    /// Asks all workers to end, and kills those that do not.
    pub async fn stop(self) {
        self.stop.cancel();
        let deadline = Instant::now() + STOP_TIMEOUT;
        for mut replica in self.replicas {
            if tokio::time::timeout_at(deadline, &mut replica.task).await.is_err() {
                replica.task.abort();
                let _ = replica.task.await;
            }
        }
    }
}

/// The replicas of a node, and how to start each.
type Replicas = Vec<(ReplicaId, Arc<Launch>)>;

/// Reserves GPUs for all workers. Returns the replicas of each node, and how to start each.
fn with_gpus(
    nodes: &[(Arc<Node>, Launch)],
    gpus: &Arc<Gpus>,
) -> Result<(Vec<Replicas>, Arc<Reservation>), StartError> {
    let slots: Vec<_> = nodes.iter().map(|(node, launch)| slots(node, launch)).collect();
    let wanting: Vec<_> = (0..nodes.len()).filter(|&index| nodes[index].0.gpu.is_some()).collect();
    let request = |&index: &usize| {
        let node = &nodes[index].0;
        Some(Request { node: &node.name, gpu: node.gpu?, workers: slots[index].len() })
    };
    let requests: Vec<_> = wanting.iter().filter_map(request).collect();
    let reservation = Arc::new(gpus.reserve(&requests)?);
    let launches = nodes.iter().zip(slots).enumerate().map(|(index, ((node, launch), slots))| {
        let Some(request) = wanting.iter().position(|wanting| *wanting == index) else {
            let launch = Arc::new(launch.clone());
            return slots.into_iter().map(|slot| (slot, Arc::clone(&launch))).collect();
        };
        // Nodes start once.
        let _ = node.gpus.set(NodeGpus { reservation: Arc::downgrade(&reservation), request });
        let of_worker = |(worker, slot)| {
            let mut launch = launch.clone();
            launch.set(reservation.variables(request, worker));
            (slot, Arc::new(launch))
        };
        slots.into_iter().enumerate().map(of_worker).collect()
    });
    Ok((launches.collect(), reservation))
}

/// Returns the replicas of a node. Processes of older runners serve one place each: `replicas` at every
/// place.
fn slots(node: &Node, launch: &Launch) -> Vec<ReplicaId> {
    let places = match &launch.older {
        Some(_) => node.queue().places().iter().copied().map(ReplicaId::At).collect(),
        None => vec![ReplicaId::Any],
    };
    (0..node.run.replicas).flat_map(|_| places.clone()).collect()
}

/// The context to start a replica's worker.
#[derive(Clone)]
struct ReplicaContext {
    node: Arc<Node>,
    launch: Arc<Launch>,
    slot: ReplicaId,
    lifeline: Arc<Lifeline>,
}

impl ReplicaContext {
    /// Starts a worker and waits until it is ready.
    async fn fill(&self) -> Result<Worker, StartFailure> {
        let Self { node, launch, slot, lifeline } = self;
        report_if_slow(node, Worker::start(node, launch, *slot, lifeline)).await
    }
}

/// Keeps one worker up.
struct ReplicaSupervisor {
    place: ReplicaContext,
    restart: Arc<Notify>,
    stop: CancellationToken,
    /// Replaced workers that have not ended yet.
    old: JoinSet<()>,
}

impl ReplicaSupervisor {
    async fn run(mut self, mut worker: Worker) {
        let mut backoff = Backoff::default();
        let mut allowance = self.allowance(&worker).await;
        loop {
            let gauge = worker.gauge();
            tokio::select! {
                () = self.stop.cancelled() => {
                    self.retire(worker);
                    break;
                }
                () = self.restart.notified() => {
                    if let Some(mut old) = self.replace(&mut worker, "restarted").await {
                        old.stop();
                        let flow = Arc::clone(&self.place.node.flow);
                        self.old.spawn(async move {
                            old.ended().await;
                            // The new worker may answer otherwise, and no old one answers any more.
                            flow.forget_answers();
                        });
                        allowance = self.allowance(&worker).await;
                    }
                }
                reason = allowance.limit_reached(&gauge) => self.recycle(&mut worker, reason, &mut allowance).await,
                Some(_) = self.old.join_next() => {}
                exit = worker.ended() => match self.restart_until_ready(&mut backoff, exit).await {
                    Some(next) => {
                        worker = next;
                        allowance = self.allowance(&worker).await;
                    }
                    None => break,
                },
            }
        }
        self.old.join_all().await;
    }

    /// Returns what a new worker may handle and take.
    async fn allowance(&self, worker: &Worker) -> Allowance {
        let (allowance, excess) = Allowance::of(self.place.node.run.recycle, &worker.gauge()).await;
        if let Some(memory) = excess {
            tracing::warn!(
                node = %self.place.node.name,
                "takes {memory} of memory right after its start, more than `recycle.memory`: that does not replace it"
            );
        }
        allowance
    }

    /// Replaces a worker that is used up. The old one finishes what it has, however long that takes.
    async fn recycle(&mut self, worker: &mut Worker, reason: RecycleReason, allowance: &mut Allowance) {
        let Some(mut old) = self.replace(worker, &format!("replaced: {reason}")).await else {
            allowance.postpone();
            return;
        };
        *allowance = self.allowance(worker).await;
        let stop = self.stop.clone();
        self.old.spawn(async move {
            tokio::select! {
                () = old.finish() => {}
                () = stop.cancelled() => {}
            }
            old.stop();
            old.ended().await;
        });
    }

    /// Asks a worker to end. It first finishes its deliveries; if it takes too long, it is killed.
    fn retire(&mut self, mut worker: Worker) {
        worker.stop();
        self.old.spawn(async move {
            worker.ended().await;
        });
    }

    /// Replaces the worker once a new one is ready, and logs what was done. Returns the old one; `None` if it stays.
    async fn replace(&mut self, worker: &mut Worker, what: &str) -> Option<Worker> {
        let node = Arc::clone(&self.place.node);
        let next = loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                // The files changed again: drop the worker that is starting.
                () = self.restart.notified() => {}
                next = self.place.fill() => break next,
            }
        };
        match next {
            Ok(next) => {
                let old = std::mem::replace(worker, next);
                node.flow.metrics().restarted(node.index);
                tracing::info!(node = %node.name, "{what}");
                Some(old)
            }
            Err(failed) => {
                tracing::error!(
                    node = %node.name,
                    "does not start; the previous process keeps running: {}",
                    hint::chain(&failed)
                );
                None
            }
        }
    }

    /// Starts workers until one is ready; `None` when the service stops.
    async fn restart_until_ready(&mut self, backoff: &mut Backoff, exit: WorkerExit) -> Option<Worker> {
        let node = &self.place.node;
        let mut useful = exit.useful;
        tracing::error!(node = %node.name, "its process died: {}", exit.how);
        loop {
            let pause = backoff.died(Instant::now(), useful);
            if let Some(deaths) = pause.crash_loop {
                let next = pause.wait.as_secs_f64();
                tracing::error!(
                    node = %node.name,
                    "crash loop: died {deaths} times within a minute, next start in {next:.1} s"
                );
            }
            let start = async {
                tokio::time::sleep(pause.wait).await;
                self.place.fill().await
            };
            let started = tokio::select! {
                () = self.stop.cancelled() => return None,
                // The files changed, so the crash may be fixed.
                () = self.restart.notified() => {
                    *backoff = Backoff::default();
                    useful = true;
                    node.flow.forget_answers();
                    continue;
                }
                started = start => started,
            };
            match started {
                Ok(worker) => {
                    node.flow.metrics().restarted(node.index);
                    tracing::info!(node = %node.name, "up again");
                    return Some(worker);
                }
                Err(failed) => {
                    useful = false;
                    tracing::error!(node = %node.name, "does not start: {}", hint::chain(&failed));
                    node.flow.clear_parts(node.index);
                }
            }
        }
    }
}

/// Logs regularly that a node is still starting.
async fn report_if_slow<T>(node: &Node, start: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    tokio::pin!(start);
    loop {
        tokio::select! {
            started = &mut start => return started,
            () = tokio::time::sleep(START_REPORT_INTERVAL) => {
                let seconds = begun.elapsed().as_secs();
                let what = if node.run.warmup.is_some() { "`init` and `warmup` have" } else { "`init` has" };
                tracing::info!(node = %node.name, "still starting after {seconds} s: {what} not ended");
            }
        }
    }
}

#[cfg(test)]
mod tests;
