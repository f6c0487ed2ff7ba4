//! Starts the hosts of all nodes, keeps them up, and stops them.

use super::{
    Lifeline, Node,
    backoff::Backoff,
    host::{Exit, Failed, Host},
};
use krt_model::name::Name;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// How often a node that is still starting is spoken of.
const STILL_STARTING: Duration = Duration::from_secs(10);

/// All hosts of a version, kept up until [`Nodes::stop`].
#[derive(Debug)]
pub struct Nodes {
    replicas: Vec<Replica>,
    stop: CancellationToken,
}

/// One place for a host: the task that keeps it filled.
#[derive(Debug)]
struct Replica {
    node: usize,
    restart: mpsc::Sender<Arc<Node>>,
    task: JoinHandle<()>,
}

/// Why the nodes did not start: each that failed, in the package's order.
#[derive(Debug)]
pub struct StartError {
    /// The nodes and their reasons.
    failures: Vec<(Name, Failed)>,
}

impl StartError {
    /// A reason for each node, in words.
    pub fn reasons(&self) -> Vec<String> {
        let reason = |(node, failed): &(Name, Failed)| {
            format!("node `{node}` does not start: {}", crate::errors::chain(failed))
        };
        self.failures.iter().map(reason).collect()
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons().join("\n"))
    }
}

impl std::error::Error for StartError {}

impl Nodes {
    /// Starts every host of every node at the same time, and waits until all are ready.
    ///
    /// When one fails, all that failed are told and the others are ended. Dropping the future ends
    /// what was started.
    pub async fn start(nodes: &[Arc<Node>], lifeline: &Arc<Lifeline>) -> Result<Self, StartError> {
        let mut starting = JoinSet::new();
        for node in nodes {
            for _ in 0..node.run.replicas {
                let (node, lifeline) = (Arc::clone(node), Arc::clone(lifeline));
                let logs = node.logs.clone();
                starting.spawn(logs.around(async move {
                    let host = tell_if_slow(&node, Host::start(&node, &lifeline)).await;
                    (node, host)
                }));
            }
        }
        let (mut hosts, mut failures) = (Vec::new(), Vec::new());
        while let Some(started) = starting.join_next().await {
            match started {
                Ok((node, Ok(host))) => hosts.push((node, host)),
                Ok((node, Err(failed))) => failures.push((node, failed)),
                Err(error) => tracing::error!("a starting host was lost: {error}"),
            }
        }
        if failures.is_empty() {
            return Ok(Self::keep(hosts, lifeline));
        }
        for (_, host) in hosts {
            host.kill().await;
        }
        failures.sort_by_key(|(node, _)| node.index);
        failures.dedup_by_key(|(node, _)| node.index);
        Err(StartError {
            failures: failures.into_iter().map(|(node, failed)| (node.name.clone(), failed)).collect(),
        })
    }

    fn keep(hosts: Vec<(Arc<Node>, Host)>, lifeline: &Arc<Lifeline>) -> Self {
        let stop = CancellationToken::new();
        let replica = |(node, host): (Arc<Node>, Host)| {
            let (restart, restarts) = mpsc::channel(1);
            let index = node.index;
            let logs = node.logs.clone();
            let keeper = Keeper { node, lifeline: Arc::clone(lifeline), restarts, stop: stop.clone() };
            Replica { node: index, restart, task: tokio::spawn(logs.around(keeper.run(host))) }
        };
        Self { replicas: hosts.into_iter().map(replica).collect(), stop }
    }

    /// Replaces the hosts of a node by new ones, as the given node says. The old ones go on until
    /// the new ones are ready, and stay when these fail.
    pub async fn restart(&self, node: &Arc<Node>) {
        for replica in self.replicas.iter().filter(|replica| replica.node == node.index) {
            // Fails when the replica has ended: the service is stopping.
            let _ = replica.restart.send(Arc::clone(node)).await;
        }
    }

    /// Asks all hosts to end, and ends those that have not after `grace`.
    pub async fn stop(self, grace: Duration) {
        self.stop.cancel();
        let deadline = tokio::time::Instant::now() + grace;
        for mut replica in self.replicas {
            if tokio::time::timeout_at(deadline, &mut replica.task).await.is_err() {
                replica.task.abort();
                let _ = replica.task.await;
            }
        }
    }
}

/// Keeps one host up.
struct Keeper {
    node: Arc<Node>,
    lifeline: Arc<Lifeline>,
    restarts: mpsc::Receiver<Arc<Node>>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(mut self, mut host: Host) {
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(node) = self.restarts.recv() => self.replace(&mut host, node).await,
                exit = host.ended() => match self.revive(&mut backoff, exit).await {
                    Some(next) => host = next,
                    None => return,
                },
            }
        }
        host.stop();
        host.ended().await;
    }

    /// Puts a new host in the old one's place, when the new one is ready.
    async fn replace(&mut self, host: &mut Host, node: Arc<Node>) {
        let next = tokio::select! {
            () = self.stop.cancelled() => return,
            next = tell_if_slow(&node, Host::start(&node, &self.lifeline)) => next,
        };
        match next {
            Ok(next) => {
                let mut old = std::mem::replace(host, next);
                self.node = node;
                self.node.flow.metrics().restarted(self.node.index);
                tracing::info!(node = %self.node.name, "restarted");
                old.stop();
                old.ended().await;
            }
            Err(failed) => tracing::error!(
                node = %node.name,
                "does not start, the process before goes on: {}",
                crate::errors::chain(&failed)
            ),
        }
    }

    /// Starts hosts until one is ready; `None` when the service stops.
    async fn revive(&mut self, backoff: &mut Backoff, exit: Exit) -> Option<Host> {
        let node = &self.node;
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
                tell_if_slow(node, Host::start(node, &self.lifeline)).await
            };
            let started = tokio::select! {
                () = self.stop.cancelled() => return None,
                started = start => started,
            };
            match started {
                Ok(host) => {
                    node.flow.metrics().restarted(node.index);
                    tracing::info!(node = %node.name, "up again");
                    return Some(host);
                }
                Err(failed) => {
                    useful = false;
                    tracing::error!(node = %node.name, "does not start: {}", crate::errors::chain(&failed));
                }
            }
        }
    }
}

/// Says every now and then that a node has not started yet.
async fn tell_if_slow<T>(node: &Node, start: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    tokio::pin!(start);
    loop {
        tokio::select! {
            started = &mut start => return started,
            () = tokio::time::sleep(STILL_STARTING) => {
                let seconds = begun.elapsed().as_secs();
                tracing::info!(node = %node.name, "still starting after {seconds} s: `init` has not ended");
            }
        }
    }
}
