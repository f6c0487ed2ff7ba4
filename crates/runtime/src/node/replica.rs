//! One replica of a node: a worker that is kept up, replaced, and ended.

use super::{
    Launch, Lifeline, Node,
    backoff::Backoff,
    recycle::{Allowance, RecycleReason},
    template::Forks,
    worker::{ReplicaId, StartFailure, Worker, WorkerExit},
};
use krt_model::hint;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Interval between messages about a node that is still starting.
const START_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The context to start a replica's worker.
#[derive(Clone)]
pub(super) struct ReplicaContext {
    pub(super) node: Arc<Node>,
    pub(super) launch: Arc<Launch>,
    pub(super) slot: ReplicaId,
    pub(super) lifeline: Arc<Lifeline>,
    /// What its worker is forked from, if it is.
    pub(super) forks: Option<Arc<Forks>>,
}

impl ReplicaContext {
    /// Starts a worker and waits until it is ready.
    pub(super) async fn fill(&self) -> Result<Worker, StartFailure> {
        let Self { node, launch, slot, lifeline, forks } = self;
        match forks {
            Some(forks) => report_if_slow(node, forks.start_worker()).await,
            None => report_if_slow(node, Worker::start(node, launch, *slot, lifeline)).await,
        }
    }
}

/// Keeps one worker up.
pub(super) struct Replica {
    place: ReplicaContext,
    /// Changes when the worker is to be replaced.
    restart: watch::Receiver<()>,
    stop: CancellationToken,
    /// The worker is to end, once it has finished what it has.
    retire: CancellationToken,
    /// Replaced workers that have not ended yet.
    old: JoinSet<()>,
}

impl Replica {
    pub(super) fn new(
        place: ReplicaContext,
        restart: watch::Receiver<()>,
        stop: CancellationToken,
        retire: CancellationToken,
    ) -> Self {
        Self { place, restart, stop, retire, old: JoinSet::new() }
    }

    /// Keeps the worker up, until it is to end.
    pub(super) async fn run(mut self, mut worker: Worker) {
        let mut backoff = Backoff::default();
        let mut allowance = self.allowance(&worker).await;
        loop {
            let gauge = worker.gauge();
            tokio::select! {
                () = self.stop.cancelled() => {
                    worker.stop();
                    self.old.spawn(async move { drop(worker.ended().await) });
                    break;
                }
                () = self.retire.cancelled() => {
                    self.finish(worker);
                    break;
                }
                Ok(()) = self.restart.changed() => {
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
        let Some(old) = self.replace(worker, &format!("replaced: {reason}")).await else {
            allowance.postpone();
            return;
        };
        *allowance = self.allowance(worker).await;
        self.finish(old);
    }

    /// Lets a worker finish what it has, however long that takes, and then end.
    fn finish(&mut self, mut worker: Worker) {
        let stop = self.stop.clone();
        self.old.spawn(async move {
            tokio::select! {
                () = worker.finish() => {}
                () = stop.cancelled() => {}
            }
            worker.stop();
            worker.ended().await;
        });
    }

    /// Replaces the worker once a new one is ready, and logs what was done. Returns the old one; `None` if it stays.
    async fn replace(&mut self, worker: &mut Worker, what: &str) -> Option<Worker> {
        let node = Arc::clone(&self.place.node);
        let next = loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.retire.cancelled() => return None,
                // The files changed again: drop the worker that is starting.
                Ok(()) = self.restart.changed() => {}
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
                () = self.retire.cancelled() => return None,
                // The files changed, so the crash may be fixed.
                Ok(()) = self.restart.changed() => {
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
                    node.start_failed(&failed);
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
