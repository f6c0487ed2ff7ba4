//! Starts the workers of all nodes, keeps them up, and stops them.

use super::{
    Launch, Lifeline, Node,
    backoff::Backoff,
    worker::{ReplicaId, StartFailure, Worker, WorkerExit},
};
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
    /// If any fails, returns all failures and ends the others. Dropping the future ends everything it
    /// started.
    pub async fn start(
        nodes: impl IntoIterator<Item = (Arc<Node>, Launch)>,
        lifeline: &Arc<Lifeline>,
    ) -> Result<Self, StartError> {
        let mut starting = JoinSet::new();
        for (node, launch) in nodes {
            let launch = Arc::new(launch);
            for slot in slots(&node, &launch) {
                let (node, launch) = (Arc::clone(&node), Arc::clone(&launch));
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
            return Ok(Self::keep(workers));
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

    fn keep(workers: Vec<(ReplicaContext, Worker)>) -> Self {
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
        Self { replicas: workers.into_iter().map(replica).collect(), stop }
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
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {
                    self.retire(worker);
                    break;
                }
                () = self.restart.notified() => self.replace(&mut worker).await,
                Some(_) = self.old.join_next() => {}
                exit = worker.ended() => match self.revive(&mut backoff, exit).await {
                    Some(next) => worker = next,
                    None => break,
                },
            }
        }
        self.old.join_all().await;
    }

    /// Asks a worker to end. It first finishes its deliveries; if it takes too long, it is killed.
    fn retire(&mut self, mut worker: Worker) {
        worker.stop();
        self.old.spawn(async move {
            worker.ended().await;
        });
    }

    /// Replaces the worker once a new one is ready.
    async fn replace(&mut self, worker: &mut Worker) {
        let node = Arc::clone(&self.place.node);
        let next = loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                // The files changed again: drop the worker that is starting.
                () = self.restart.notified() => {}
                next = self.place.fill() => break next,
            }
        };
        match next {
            Ok(next) => {
                let old = std::mem::replace(worker, next);
                node.flow.metrics().restarted(node.index);
                tracing::info!(node = %node.name, "restarted");
                self.retire(old);
            }
            Err(failed) => tracing::error!(
                node = %node.name,
                "does not start; the previous process keeps running: {}",
                hint::chain(&failed)
            ),
        }
    }

    /// Starts workers until one is ready; `None` when the service stops.
    async fn revive(&mut self, backoff: &mut Backoff, exit: WorkerExit) -> Option<Worker> {
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
                tracing::info!(node = %node.name, "still starting after {seconds} s: `init` has not ended");
            }
        }
    }
}

#[cfg(test)]
mod tests;
