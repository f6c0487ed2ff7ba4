//! Starts and ends the workers of a node whose number follows the load.
//!
//! [`Scaling`] decides on the number. A worker more starts only if `--max-workers` allows it, and if the memory that one
//! takes is free. A worker less finishes what it has.

use super::{
    Node,
    backoff::Backoff,
    replica::{Replica, ReplicaContext},
    scaling::{Bounds, Observation, Scaling},
    worker::{StartFailure, Worker},
};
use crate::flow::{Curve, QueueLoad};
use krt_model::version::Memory;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

/// Interval between looks at the queue.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The number of latest calls whose mean time counts.
const CALLS: f64 = 100.0;
/// How long a worker waits for memory before the next look at it.
const MEMORY_PAUSE: Duration = Duration::from_secs(5);

/// Keeps the number of a node's workers right.
pub(super) struct Scaler {
    node: Arc<Node>,
    /// By number.
    places: Vec<ReplicaContext>,
    restart: watch::Receiver<()>,
    stop: CancellationToken,
    /// The workers that all nodes may have beside those that they start with.
    spare: Arc<Semaphore>,
    scaling: Scaling,
    calls: CallTime,
    begun: Instant,
    /// The workers that are up, or started again after a crash, by number.
    up: BTreeMap<usize, Up>,
    /// Their tasks, and those of workers that end: each ends with its number.
    tasks: JoinSet<usize>,
    starting: JoinSet<(usize, Start)>,
    /// The numbers of workers that start, and those of workers that end.
    taken: BTreeMap<usize, Option<OwnedSemaphorePermit>>,
    backoff: Backoff,
    /// No start before this time, since the last one failed.
    not_before: Instant,
    /// How long the last worker took to start.
    took: Duration,
    refused: Option<Refused>,
}

struct Up {
    retire: CancellationToken,
    place: Option<OwnedSemaphorePermit>,
}

/// The end of a start.
struct Start {
    began: Instant,
    /// Changes when the worker is to be replaced: also if that was during its start.
    restart: watch::Receiver<()>,
    worker: Result<Worker, Failed>,
}

enum Failed {
    Start(StartFailure),
    Memory(NoMemory),
}

/// The memory that a worker takes is not free.
#[derive(Debug, Clone, Copy)]
struct NoMemory {
    takes: Memory,
    free: Memory,
}

/// Why there are fewer workers than wanted. Logged once, until a worker starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Workers,
    Memory,
}

impl Scaler {
    /// `workers`: those that are ready, by number.
    pub(super) fn new(
        places: Vec<ReplicaContext>,
        workers: Vec<Worker>,
        restart: watch::Receiver<()>,
        stop: CancellationToken,
        spare: Arc<Semaphore>,
    ) -> Self {
        let node = Arc::clone(&places[0].node);
        let replicas = node.run.replicas;
        let scaling = Scaling::new(Bounds {
            min: replicas.min.into(),
            max: replicas.max.into(),
            idle: replicas.idle,
            calls: node.run.concurrency.into(),
            messages: node.run.batch.map_or(1, |batch| batch.max.into()),
        });
        let now = Instant::now();
        let mut one = Self {
            node,
            places,
            restart,
            stop,
            spare,
            scaling,
            calls: CallTime::default(),
            begun: now,
            up: BTreeMap::new(),
            tasks: JoinSet::new(),
            starting: JoinSet::new(),
            taken: BTreeMap::new(),
            backoff: Backoff::default(),
            not_before: now,
            took: Duration::ZERO,
            refused: None,
        };
        for (number, worker) in workers.into_iter().enumerate() {
            one.keep_up(number, worker, one.restart.clone(), None);
        }
        one
    }

    pub(super) async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, node) = (self.stop.clone(), Arc::clone(&self.node));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => self.look(),
                () = node.queue().wanted_awake(), if self.scaling.wanted() == 0 => self.look(),
                Some(Ok((number, start))) = self.starting.join_next() => self.started(number, start),
                Some(Ok(number)) = self.tasks.join_next() => {
                    self.taken.remove(&number);
                    self.reconcile();
                }
            }
        }
        // Dropping a start ends its process.
        self.starting.shutdown().await;
        while self.tasks.join_next().await.is_some() {}
    }

    fn look(&mut self) {
        let seen = self.observe();
        let before = self.scaling.wanted();
        if let Some(reason) = self.scaling.decide(self.begun.elapsed(), seen) {
            let wanted = self.scaling.wanted();
            self.node.queue().set_wanted(wanted);
            match (before, wanted) {
                (_, 0) => tracing::info!(node = %self.node.name, "sleeps: {reason}"),
                (0, _) => tracing::info!(node = %self.node.name, "wakes: {reason}"),
                (_, 1) => tracing::info!(node = %self.node.name, "1 worker instead of {before}: {reason}"),
                _ => tracing::info!(node = %self.node.name, "{wanted} workers instead of {before}: {reason}"),
            }
        }
        self.reconcile();
    }

    fn observe(&mut self) -> Observation {
        let queue = self.node.queue();
        let load = queue.load().expect("the queue of such a node measures its load");
        self.calls.observe(&load);
        let curve = queue.batches().filter(Curve::is_known);
        let batch = self.node.run.batch.zip(curve).map(|(batch, curve)| curve.mean(batch.max));
        let QueueLoad { arrived, waited, waiting, in_flight, peak, .. } = load;
        Observation {
            arrived,
            waited,
            waiting,
            in_flight,
            peak,
            call: batch.or_else(|| self.calls.mean()),
            ready: queue.workers(),
            start: self.took,
        }
    }

    /// Starts and ends workers, so that there are as many as wanted.
    fn reconcile(&mut self) {
        let wanted = self.scaling.wanted();
        while self.up.len() + self.starting.len() < wanted && self.not_before <= Instant::now() {
            if !self.start() {
                break;
            }
        }
        while self.up.len() > wanted
            && self.starting.is_empty()
            && let Some((number, Up { retire, place })) = self.up.pop_last()
        {
            self.taken.insert(number, place);
            retire.cancel();
        }
        if wanted == 0 && self.starting.is_empty() {
            self.node.queue().set_asleep(true);
        }
    }

    /// Starts a worker. Returns whether one starts.
    fn start(&mut self) -> bool {
        let is_free = |number: &usize| !self.up.contains_key(number) && !self.taken.contains_key(number);
        // A worker that ends may still have its GPU.
        let Some(number) = (0..self.places.len()).find(is_free) else { return false };
        // The first ones are counted from the start.
        let is_first = number < usize::from(self.node.run.replicas.first());
        let place = if is_first { None } else { Some(Arc::clone(&self.spare).try_acquire_owned()) };
        let Ok(place) = place.transpose() else {
            let wanted = self.scaling.wanted();
            self.refuse(Refused::Workers, || {
                format!("wants {wanted} workers, and --max-workers allows no more")
            });
            return false;
        };
        self.taken.insert(number, place);
        let (context, others) = (self.places[number].clone(), !self.up.is_empty());
        let (began, mut restart) = (Instant::now(), self.restart.clone());
        restart.mark_unchanged();
        let logs = self.node.logs.clone();
        self.starting.spawn(logs.around(async move {
            // The first worker starts without this check: the node has to answer.
            let memory = if others { memory_for(&context.node).await } else { Ok(()) };
            let worker = match memory {
                Ok(()) => context.fill().await.map_err(Failed::Start),
                Err(lacking) => Err(Failed::Memory(lacking)),
            };
            (number, Start { began, restart, worker })
        }));
        true
    }

    fn started(&mut self, number: usize, Start { began, restart, worker }: Start) {
        let place = self.taken.remove(&number).flatten();
        match worker {
            Ok(worker) => {
                self.took = began.elapsed();
                (self.backoff, self.refused) = (Backoff::default(), None);
                self.keep_up(number, worker, restart, place);
            }
            Err(Failed::Memory(NoMemory { takes, free })) => {
                self.not_before = Instant::now() + MEMORY_PAUSE;
                let wanted = self.scaling.wanted();
                self.refuse(Refused::Memory, || {
                    format!("wants {wanted} workers; one takes {takes} of memory, and {free} is free")
                });
            }
            Err(Failed::Start(failed)) => {
                let pause = self.backoff.died(Instant::now(), false);
                self.not_before = Instant::now() + pause.wait;
                self.node.start_failed(&failed);
            }
        }
        self.reconcile();
    }

    fn refuse(&mut self, refused: Refused, message: impl FnOnce() -> String) {
        if self.refused.replace(refused) != Some(refused) {
            tracing::warn!(node = %self.node.name, "{}", message());
        }
    }

    /// Keeps a worker up until it is to end.
    fn keep_up(
        &mut self,
        number: usize,
        worker: Worker,
        restart: watch::Receiver<()>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        self.node.queue().set_asleep(false);
        let retire = CancellationToken::new();
        let context = self.places[number].clone();
        let replica = Replica::new(context, restart, self.stop.clone(), retire.clone());
        self.up.insert(number, Up { retire, place });
        let logs = self.node.logs.clone();
        self.tasks.spawn(logs.around(async move {
            replica.run(worker).await;
            number
        }));
    }
}

/// The mean time of the latest calls.
#[derive(Debug, Default)]
struct CallTime {
    seconds: f64,
    calls: f64,
    /// The sums that are in it.
    occupied: Duration,
    ended: u64,
}

impl CallTime {
    fn observe(&mut self, load: &QueueLoad) {
        self.seconds += load.occupied.saturating_sub(self.occupied).as_secs_f64();
        self.calls += (load.ended - self.ended) as f64;
        (self.occupied, self.ended) = (load.occupied, load.ended);
        if self.calls > CALLS {
            self.seconds *= CALLS / self.calls;
            self.calls = CALLS;
        }
    }

    /// Returns the mean; `None` before a call has ended.
    fn mean(&self) -> Option<Duration> {
        (self.calls >= 1.0).then(|| Duration::from_secs_f64(self.seconds / self.calls))
    }
}

/// Checks that the memory that a worker of the node takes is free: as much as that of its largest one.
async fn memory_for(node: &Arc<Node>) -> Result<(), NoMemory> {
    let node = Arc::clone(node);
    let read = move || {
        let takes = node.flow.metrics().largest_worker(node.index);
        match krt_guard::free_memory() {
            Some(free) if free < takes => Err(NoMemory { takes: mebibytes(takes), free: mebibytes(free) }),
            _ => Ok(()),
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or(Ok(()))
}

fn mebibytes(bytes: u64) -> Memory {
    Memory(bytes >> 20 << 20)
}
