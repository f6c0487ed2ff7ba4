//! Injects random faults, one after the other, while requests are in flight.

use super::{
    Tally,
    deployment::{Deployment, INGRESS, NODES},
};
use crate::support::processes;
use fastrand::Rng;
use rustix::process::Signal;
use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};

/// The number of requests between two faults.
const BETWEEN_FAULTS: std::ops::Range<usize> = 40..160;
/// How long a cable or the server is away: from less to more than the timeouts that detect it.
const OUTAGE: std::ops::Range<u64> = 50..2_500;
/// The interval between checks of the number of requests.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A process with user code is killed.
    Process,
    /// An engine is killed with its processes, and replaced.
    Engine,
    /// The cable of a node's host is pulled, and restored.
    Cable,
    /// The cable of the entrypoint's host is pulled, and restored.
    Ingress,
    /// A server is killed, and restarted with its streams.
    Server,
    /// A server of a cluster is killed, and restarted without its streams.
    Disk,
}

/// The relative frequency of each kind.
const KINDS: [(Fault, usize); 5] =
    [(Fault::Process, 12), (Fault::Engine, 4), (Fault::Cable, 4), (Fault::Ingress, 1), (Fault::Server, 1)];

pub(super) struct Faults<'a> {
    deployment: &'a Deployment,
    random: Rng,
    count: BTreeMap<Fault, usize>,
    /// The cluster's servers whose disks are still to be lost, each once.
    disks: Vec<usize>,
}

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults {:?}", self.count)
    }
}

impl<'a> Faults<'a> {
    pub(super) fn new(deployment: &'a Deployment, seed: usize) -> Self {
        let mut random = Rng::with_seed(seed as u64);
        let mut disks: Vec<_> = (0..deployment.servers()).filter(|_| deployment.servers() > 1).collect();
        random.shuffle(&mut disks);
        Self { deployment, random, count: BTreeMap::new(), disks }
    }

    /// Whether each server of a cluster has lost its disk.
    pub(super) fn are_complete(&self) -> bool {
        self.disks.is_empty()
    }

    /// Injects faults until all requests have begun, or the clients have stopped.
    pub(super) fn run(mut self, tally: &Tally, requests: usize, is_over: impl Fn() -> bool) -> Self {
        let mut next = BETWEEN_FAULTS.start;
        loop {
            let begun = tally.begun.load(Ordering::Relaxed);
            if begun >= requests || is_over() {
                return self;
            }
            if begun < next {
                std::thread::sleep(POLL_INTERVAL);
                continue;
            }
            let fault = if self.is_disk_due(begun, requests) { Fault::Disk } else { self.choose() };
            self.bring(fault, tally);
            *self.count.entry(fault).or_default() += 1;
            next = tally.begun.load(Ordering::Relaxed) + self.random.usize(BETWEEN_FAULTS);
        }
    }

    /// Whether the next disk is due: disks are lost at even distances.
    fn is_disk_due(&self, begun: usize, requests: usize) -> bool {
        let lost = self.deployment.servers() - self.disks.len();
        !self.are_complete() && begun * (self.deployment.servers() + 1) >= requests * lost + requests / 2
    }

    fn choose(&mut self) -> Fault {
        let all: usize = KINDS.iter().map(|(_, often)| often).sum();
        let mut place = self.random.usize(..all);
        for (fault, often) in KINDS {
            if place < often {
                return fault;
            }
            place -= often;
        }
        Fault::Process
    }

    fn bring(&mut self, fault: Fault, tally: &Tally) {
        let (host, node) = NODES[self.random.usize(..NODES.len())];
        match fault {
            Fault::Process => {
                let found = self.deployment.processes_of(node);
                if let Some(&pid) = self.random.choice(&found) {
                    processes::signal(pid, Signal::KILL);
                }
            }
            Fault::Engine => self.deployment.replace_node(host, node),
            Fault::Cable => self.without_cable(host),
            Fault::Ingress => self.without_cable(INGRESS),
            Fault::Server => {
                let server = self.random.usize(..self.deployment.servers());
                self.deployment.kill_server(server);
                self.pause();
                self.start_server(server, tally);
            }
            Fault::Disk => {
                let Some(server) = self.disks.pop() else { return };
                self.deployment.kill_server(server);
                self.deployment.lose_disk(server);
                self.pause();
                self.start_server(server, tally);
            }
        }
    }

    /// Starts a server. In a cluster, pauses new requests until the server has caught up, so that two intact
    /// servers remain for the next fault.
    fn start_server(&self, server: usize, tally: &Tally) {
        self.deployment.start_server(server);
        tally.rests.store(true, Ordering::Relaxed);
        self.deployment.wait_until_current();
        tally.rests.store(false, Ordering::Relaxed);
    }

    fn without_cable(&mut self, host: &str) {
        self.deployment.hosts.cut(host);
        self.pause();
        self.deployment.hosts.restore(host);
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.random.u64(OUTAGE)));
    }
}
