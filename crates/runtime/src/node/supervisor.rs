//! Starts the workers of all nodes, keeps them up, and stops them.

use super::{
    Launch, Lifeline, Node, NodeGpus,
    replica::{Replica, ReplicaContext},
    scaler::Scaler,
    template::Forks,
    worker::{ReplicaId, StartFailure, Worker},
};
use crate::gpus::{Gpus, Request, Reservation, TooFew};
use krt_model::{hint, name::Name};
use miette::Diagnostic;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Time limit for all workers to end; each needs less, as it is killed otherwise.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// All workers of a version, kept up until [`Nodes::stop`].
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<NodeTasks>,
    stop: CancellationToken,
    /// The workers' GPUs.
    _gpus: Arc<Reservation>,
}

/// The workers of a node, kept up by tasks: one for each, or one for all if their number follows the load.
#[derive(Debug)]
struct NodeTasks {
    node: usize,
    restart: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
    /// What its workers are forked from, if they are.
    forks: Option<Arc<Forks>>,
}

/// The workers of a node before they are kept up.
struct NodeStart {
    /// How to start each, by number.
    places: Vec<ReplicaContext>,
    /// The first ones, by number, once they are ready.
    ready: Vec<(usize, Worker)>,
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
    /// Starts the first workers of all nodes at once, and waits until they are ready. `spare`: how many more there may be.
    ///
    /// If any fails, returns all failures and ends the others. If `gpus` are too few, starts none. Dropping the
    /// future ends everything it started.
    pub async fn start(
        nodes: impl IntoIterator<Item = (Arc<Node>, Launch)>,
        lifeline: &Arc<Lifeline>,
        gpus: &Arc<Gpus>,
        spare: usize,
    ) -> Result<Self, StartError> {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let (launches, reservation) = with_gpus(&nodes, gpus)?;
        let mut starting = JoinSet::new();
        let mut starts: Vec<NodeStart> = Vec::new();
        for (index, ((node, _), launches)) in nodes.iter().zip(launches).enumerate() {
            let forks = launches.first().and_then(|(_, launch)| Forks::of(node, launch, lifeline));
            let place = |(slot, launch)| {
                let (node, lifeline, forks) = (Arc::clone(node), Arc::clone(lifeline), forks.clone());
                ReplicaContext { node, launch, slot, lifeline, forks }
            };
            let places: Vec<_> = launches.into_iter().map(place).collect();
            for (number, place) in places.iter().take(first(node, places.len())).cloned().enumerate() {
                starting.spawn(node.logs.around(async move { (index, number, place.fill().await) }));
            }
            starts.push(NodeStart { places, ready: Vec::new() });
        }
        let mut failures = Vec::new();
        while let Some(started) = starting.join_next().await {
            match started {
                Ok((index, number, Ok(worker))) => starts[index].ready.push((number, worker)),
                Ok((index, _, Err(failed))) => failures.push((Arc::clone(&nodes[index].0), failed)),
                Err(error) => tracing::error!("a starting worker was lost: {error}"),
            }
        }
        if failures.is_empty() {
            return Ok(Self::new(starts, reservation, spare));
        }
        for (_, worker) in starts.into_iter().flat_map(|start| start.ready) {
            worker.kill().await;
        }
        failures.sort_by_key(|(node, _)| node.index);
        failures.dedup_by_key(|(node, _)| node.index);
        Err(StartError {
            failures: failures.into_iter().map(|(node, failed)| (node.name.clone(), failed)).collect(),
        })
    }

    fn new(starts: Vec<NodeStart>, gpus: Arc<Reservation>, spare: usize) -> Self {
        let (stop, spare) = (CancellationToken::new(), Arc::new(Semaphore::new(spare)));
        let nodes = starts.into_iter().filter_map(|start| NodeTasks::spawn(start, &stop, &spare));
        Self { nodes: nodes.collect(), stop, _gpus: gpus }
    }

    /// Replaces the workers of a node. Old workers continue until the new ones are ready, and stay if these
    /// fail.
    pub fn restart(&self, node: usize) {
        for tasks in self.nodes.iter().filter(|tasks| tasks.node == node) {
            tasks.forks.iter().for_each(|forks| forks.renew());
            tasks.restart.send_replace(());
        }
    }

    /// Asks all workers to end, and kills those that do not.
    pub async fn stop(self) {
        self.stop.cancel();
        let deadline = Instant::now() + STOP_TIMEOUT;
        for NodeTasks { tasks, forks, .. } in self.nodes {
            for mut task in tasks {
                if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                    task.abort();
                    let _ = task.await;
                }
            }
            if let Some(forks) = forks {
                forks.end().await;
            }
        }
    }
}

impl NodeTasks {
    fn spawn(start: NodeStart, stop: &CancellationToken, spare: &Arc<Semaphore>) -> Option<Self> {
        let NodeStart { places, mut ready } = start;
        let ReplicaContext { node, forks, .. } = places.first()?.clone();
        let (restart, restarts) = watch::channel(());
        ready.sort_by_key(|(number, _)| *number);
        node.queue().set_wanted(ready.len());
        let mut tasks = if node.run.replicas.follow() {
            let workers = ready.into_iter().map(|(_, worker)| worker).collect();
            let scaler = Scaler::new(places, workers, restarts, stop.clone(), Arc::clone(spare));
            vec![tokio::spawn(node.logs.around(scaler.run()))]
        } else {
            let keep_up = |((_, worker), place): ((usize, Worker), ReplicaContext)| {
                let never = CancellationToken::new();
                let replica = Replica::new(place, restarts.clone(), stop.clone(), never);
                tokio::spawn(node.logs.around(replica.run(worker)))
            };
            ready.into_iter().zip(places).map(keep_up).collect()
        };
        if let Some(forks) = &forks {
            tasks.push(tokio::spawn(node.logs.around(Arc::clone(forks).keep_up(stop.clone()))));
        }
        Some(Self { node: node.index, restart, tasks, forks })
    }
}

/// Returns how many of a node's workers start with it.
fn first(node: &Node, places: usize) -> usize {
    let replicas = node.run.replicas;
    if replicas.follow() { replicas.first().into() } else { places }
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
    (0..node.run.replicas.max).flat_map(|_| places.clone()).collect()
}

#[cfg(test)]
mod tests;
