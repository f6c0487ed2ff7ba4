//! The faults: one after the other, at random, while there are requests.

use super::{
    Tally,
    site::{DOOR, NODES, Site},
};
use crate::support::processes;
use fastrand::Rng;
use rustix::process::Signal;
use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};

/// How many requests begin between two faults.
const BETWEEN: std::ops::Range<usize> = 40..160;
/// How long a cable is out, and the server away: sometimes shorter, sometimes longer than anybody waits to see.
const AWAY: std::ops::Range<u64> = 50..2_500;
/// How often it is looked at how many requests have begun.
const LOOK: Duration = Duration::from_millis(2);

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A process with user code is killed.
    Process,
    /// An engine is killed, with its processes; another one starts in its place.
    Engine,
    /// The cable of a node's host is pulled, and put back.
    Cable,
    /// The cable of the entrypoint's host is.
    Door,
    /// The server is killed, and started again with the streams that it had.
    Server,
}

/// How often each kind comes, in relation.
const KINDS: [(Fault, usize); 5] =
    [(Fault::Process, 12), (Fault::Engine, 4), (Fault::Cable, 4), (Fault::Door, 1), (Fault::Server, 1)];

pub(super) struct Faults<'a> {
    site: &'a Site,
    random: Rng,
    count: BTreeMap<Fault, usize>,
}

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults {:?}", self.count)
    }
}

impl<'a> Faults<'a> {
    pub(super) fn new(site: &'a Site, seed: usize) -> Self {
        Self { site, random: Rng::with_seed(seed as u64), count: BTreeMap::new() }
    }

    /// Brings faults until all requests have begun.
    pub(super) fn run(mut self, tally: &Tally, requests: usize) -> Self {
        let mut next = BETWEEN.start;
        loop {
            let begun = tally.begun.load(Ordering::Relaxed);
            if begun >= requests {
                return self;
            }
            if begun < next {
                std::thread::sleep(LOOK);
                continue;
            }
            let fault = self.choose();
            self.bring(fault);
            *self.count.entry(fault).or_default() += 1;
            next = tally.begun.load(Ordering::Relaxed) + self.random.usize(BETWEEN);
        }
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

    fn bring(&mut self, fault: Fault) {
        let (host, node) = NODES[self.random.usize(..NODES.len())];
        match fault {
            Fault::Process => {
                let found = self.site.processes_of(node);
                if let Some(&pid) = self.random.choice(&found) {
                    processes::signal(pid, Signal::KILL);
                }
            }
            Fault::Engine => self.site.replace_node(host, node),
            Fault::Cable => self.without_cable(host),
            Fault::Door => self.without_cable(DOOR),
            Fault::Server => {
                self.site.kill_server();
                self.pause();
                self.site.start_server();
            }
        }
    }

    fn without_cable(&mut self, host: &str) {
        self.site.hosts.cut(host);
        self.pause();
        self.site.hosts.mend(host);
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.random.u64(AWAY)));
    }
}
