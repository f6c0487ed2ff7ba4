use super::*;
use proptest::prelude::*;
use std::{cmp::Reverse, collections::BinaryHeap};

const TICK: f64 = 0.5;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;

fn bounds(min: usize, max: usize) -> Bounds {
    Bounds { min, max, idle: Duration::from_secs(300), calls: 1, messages: 1 }
}

/// How messages arrive.
#[derive(Clone, Copy)]
enum Arrivals {
    /// So many each second, by chance.
    Open(fn(f64) -> f64),
    /// So many clients, each of which sends its next message at once.
    Closed(usize),
}

/// How long a call takes.
#[derive(Clone, Copy)]
enum Calls {
    Equal(f64),
    Exponential(f64),
}

/// A queue and its workers, played by the clock of the test.
struct Simulation {
    scaling: Scaling,
    arrivals: Arrivals,
    calls: Calls,
    start: f64,
    random: fastrand::Rng,
    now: f64,
    next: f64,
    waiting: VecDeque<f64>,
    /// When the calls in flight end.
    running: BinaryHeap<Reverse<u64>>,
    ready: usize,
    /// When workers that start are ready.
    starting: VecDeque<f64>,
    peak: usize,
    arrived: u64,
    waited: f64,
    busy: f64,
    ended: u64,
    /// The changes: when, and to how many.
    changes: Vec<(f64, usize)>,
    /// The time of all waits that have ended, and their number, since the last look of the test.
    waits: (f64, u64),
}

fn ticks(time: f64) -> u64 {
    (time * 1e9) as u64
}

impl Simulation {
    fn new(bounds: Bounds, arrivals: Arrivals, calls: Calls, seed: u64) -> Self {
        let scaling = Scaling::new(bounds);
        let ready = scaling.wanted();
        let mut one = Self {
            scaling,
            arrivals,
            calls,
            start: 1.0,
            random: fastrand::Rng::with_seed(seed),
            now: 0.0,
            next: 0.0,
            waiting: VecDeque::new(),
            running: BinaryHeap::new(),
            ready,
            starting: VecDeque::new(),
            peak: 0,
            arrived: 0,
            waited: 0.0,
            busy: 0.0,
            ended: 0,
            changes: Vec::new(),
            waits: (0.0, 0),
        };
        match arrivals {
            Arrivals::Closed(clients) => {
                one.next = f64::INFINITY;
                (0..clients).for_each(|_| one.arrive());
            }
            Arrivals::Open(_) => one.next = one.gap(),
        }
        one
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.random.f64()).ln() * mean
    }

    /// When the next message arrives: by thinning, as the rate changes.
    fn gap(&mut self) -> f64 {
        const MOST: f64 = 1000.0;
        let Arrivals::Open(rate) = self.arrivals else { return f64::INFINITY };
        let mut at = self.now;
        loop {
            at += self.exponential(1.0 / MOST);
            if self.random.f64() * MOST < rate(at) || at > self.now + HOUR {
                return at;
            }
        }
    }

    fn arrive(&mut self) {
        self.arrived += 1;
        self.waiting.push_back(self.now);
        self.serve();
        self.peak = self.peak.max(self.running.len() + self.waiting.len());
    }

    fn serve(&mut self) {
        while self.running.len() < self.ready
            && let Some(since) = self.waiting.pop_front()
        {
            self.waited += self.now - since;
            self.waits = (self.waits.0 + self.now - since, self.waits.1 + 1);
            let took = match self.calls {
                Calls::Equal(took) => took,
                Calls::Exponential(mean) => self.exponential(mean),
            };
            self.busy += took;
            self.running.push(Reverse(ticks(self.now + took)));
        }
    }

    fn observation(&mut self) -> Observation {
        let waits: f64 = self.waiting.iter().map(|since| self.now - since).sum();
        let peak = std::mem::replace(&mut self.peak, self.running.len() + self.waiting.len());
        Observation {
            arrived: self.arrived,
            waited: Duration::from_secs_f64(self.waited + waits),
            waiting: self.waiting.len(),
            in_flight: self.running.len(),
            peak: peak.max(self.running.len() + self.waiting.len()),
            call: (self.ended > 0).then(|| Duration::from_secs_f64(self.busy / self.ended as f64)),
            ready: self.ready,
            start: Duration::from_secs_f64(self.start),
        }
    }

    fn look(&mut self) {
        let seen = self.observation();
        let before = self.scaling.wanted();
        let reason = self.scaling.decide(Duration::from_secs_f64(self.now), seen);
        let (wanted, bounds) = (self.scaling.wanted(), self.scaling.bounds);
        assert_eq!(reason.is_some(), wanted != before);
        assert!((bounds.min.min(1)..=bounds.max).contains(&wanted) || wanted == 0 && bounds.min == 0);
        if wanted == before {
            return;
        }
        self.changes.push((self.now, wanted));
        let there = self.ready + self.starting.len();
        (there..wanted).for_each(|_| self.starting.push_back(self.now + self.start));
        if wanted < there {
            assert!(self.starting.is_empty(), "nothing ends while something starts");
            self.ready = wanted;
        }
    }

    fn run_until(&mut self, end: f64) {
        let mut tick = (self.now / TICK).floor() * TICK + TICK;
        while self.now < end {
            let call = self.running.peek().map_or(f64::INFINITY, |Reverse(at)| *at as f64 / 1e9);
            let start = self.starting.front().copied().unwrap_or(f64::INFINITY);
            let next = [tick, call, start, self.next, end].into_iter().fold(f64::INFINITY, f64::min);
            self.now = next.max(self.now);
            if next == call {
                self.running.pop();
                self.ended += 1;
                if let Arrivals::Closed(_) = self.arrivals {
                    self.arrive();
                }
            } else if next == start {
                self.starting.pop_front();
                self.ready += 1;
            } else if next == self.next {
                self.arrive();
                self.next = self.gap();
            } else if next == tick {
                self.look();
                tick += TICK;
            }
            self.serve();
        }
    }

    /// The changes since a time.
    fn since(&self, from: f64) -> Vec<(f64, usize)> {
        self.changes.iter().copied().filter(|(at, _)| *at >= from).collect()
    }

    /// The mean wait since the last time this was asked.
    fn mean_wait(&mut self) -> f64 {
        let (sum, count) = std::mem::take(&mut self.waits);
        sum / (count as f64).max(1.0)
    }
}

#[test]
fn a_constant_load_leads_to_a_constant_number() {
    let loads: [(Arrivals, Calls); 8] = [
        (Arrivals::Open(|_| 0.5), Calls::Exponential(1.0)),
        (Arrivals::Open(|_| 10.0), Calls::Exponential(0.1)),
        (Arrivals::Open(|_| 40.0), Calls::Exponential(0.1)),
        (Arrivals::Open(|_| 3.0), Calls::Equal(1.0)),
        (Arrivals::Open(|_| 100.0), Calls::Equal(0.012)),
        (Arrivals::Open(|_| 0.05), Calls::Equal(30.0)),
        (Arrivals::Closed(1), Calls::Equal(0.05)),
        (Arrivals::Closed(8), Calls::Exponential(0.1)),
    ];
    for (index, (arrivals, calls)) in loads.into_iter().enumerate() {
        for seed in 0..2 {
            let mut simulation = Simulation::new(bounds(1, 16), arrivals, calls, seed);
            let (Calls::Equal(call) | Calls::Exponential(call)) = calls;
            let settles = (3.0 * HOUR).max(2000.0 * call);
            simulation.run_until(settles);
            let (settled, _) = (simulation.changes.clone(), simulation.mean_wait());
            simulation.run_until(settles + HOUR);
            let changes = simulation.since(settles);
            assert!(changes.is_empty(), "load {index}, seed {seed}: {settled:?}, then {changes:?}");
            let (wait, call) = (simulation.mean_wait(), simulation.busy / simulation.ended as f64);
            assert!(wait <= 1.1 * call, "load {index}: {wait} s of waiting for {call} s");
        }
    }
}

#[test]
fn a_step_leads_to_enough_workers() {
    for (rate, calls, least) in [
        ((|at| if at < 60.0 { 1.0 } else { 50.0 }) as fn(f64) -> f64, Calls::Exponential(0.1), 5),
        (|at| if at < 60.0 { 0.0 } else { 100.0 }, Calls::Equal(0.05), 5),
        (|at| if at < 60.0 { 0.1 } else { 4.0 }, Calls::Exponential(1.0), 4),
    ] {
        for seed in 0..8 {
            let mut simulation = Simulation::new(bounds(1, 16), Arrivals::Open(rate), calls, seed);
            simulation.run_until(60.0 + 20.0);
            assert!(simulation.ready >= least, "{} {:?}", simulation.ready, simulation.changes);
            simulation.run_until(60.0 + 2.0 * MINUTE);
            let (backlog, _) = (simulation.waiting.len(), simulation.mean_wait());
            assert!(backlog < 100, "{backlog} {:?}", simulation.changes);
            simulation.run_until(60.0 + 10.0 * MINUTE);
            let (wait, call) = (simulation.mean_wait(), simulation.busy / simulation.ended as f64);
            assert!(wait <= call, "{wait} s of waiting for {call} s: {:?}", simulation.changes);
        }
    }
}

#[test]
fn the_number_follows_a_load_that_falls_one_by_one() {
    let rate = |at: f64| if at < 10.0 * MINUTE { 50.0 } else { 1.0 };
    let mut simulation = Simulation::new(bounds(1, 16), Arrivals::Open(rate), Calls::Exponential(0.1), 7);
    simulation.run_until(10.0 * MINUTE);
    let before = simulation.ready;
    simulation.run_until(14.0 * MINUTE);
    assert_eq!(simulation.ready, before, "{:?}", simulation.changes);
    simulation.run_until(30.0 * MINUTE);
    let changes = simulation.since(10.0 * MINUTE);
    assert_eq!(simulation.ready, 1, "{changes:?}");
    let mut last = (0.0, before);
    for (at, wanted) in changes {
        assert!(wanted + 1 == last.1 && at - last.0 >= 29.0, "{:?}", simulation.changes);
        last = (at, wanted);
    }
}

#[test]
fn a_node_sleeps_and_wakes() {
    let rate = |at: f64| if at < MINUTE || (HOUR..HOUR + MINUTE).contains(&at) { 5.0 } else { 0.0 };
    let mut simulation = Simulation::new(bounds(0, 4), Arrivals::Open(rate), Calls::Equal(0.05), 1);
    simulation.run_until(5.9 * MINUTE);
    assert_eq!(simulation.scaling.wanted(), 1);
    simulation.run_until(6.1 * MINUTE);
    assert_eq!(simulation.scaling.wanted(), 0);
    simulation.run_until(HOUR);
    assert_eq!(simulation.changes.len(), 1, "{:?}", simulation.changes);
    simulation.run_until(HOUR + 3.0);
    assert!(simulation.ready >= 1 && simulation.waiting.len() < 10, "{:?}", simulation.changes);
    simulation.run_until(2.0 * HOUR);
    assert_eq!(simulation.scaling.wanted(), 0);
}

#[test]
fn waits_of_the_model() {
    for servers in [1_u32, 2, 3, 8, 20, 100] {
        for used in [0.5, 0.7, 0.9, 0.97] {
            let (servers, load) = (f64::from(servers), used * f64::from(servers));
            // Exact: Erlang's formulas.
            let blocked = (1..=servers as u32)
                .fold(1.0, |blocked, server| load * blocked / (f64::from(server) + load * blocked));
            let expected = blocked / (1.0 - used * (1.0 - blocked)) / (servers - load);
            let found = wait(load, servers);
            assert!((found - expected).abs() < 0.1 * expected + 0.05, "{load} {servers}: {found} {expected}");
        }
    }
    assert_eq!((wait(0.0, 1.0), wait(2.0, 2.0)), (0.0, f64::INFINITY));
}

fn observations() -> impl Strategy<Value = Vec<(u64, u64, usize, usize, Option<u64>, usize)>> {
    let call = prop_oneof![Just(None), (0..100_000_u64).prop_map(Some)];
    let one = (0..10_000_u64, 0..10_000_000_u64, 0..5000_usize, 0..300_usize, call, 0..300_usize);
    proptest::collection::vec(one, 1..200)
}

proptest! {
    #[test]
    fn the_number_stays_within_its_bounds(
        (min, more) in (0..4_usize, 0..20_usize), calls in 1..100_usize, messages in 1..100_usize,
        observations in observations(), pause in 1..100_u64
    ) {
        let max = (min + more).max(1);
        let bounds = Bounds { min, max, idle: Duration::from_secs(5), calls, messages };
        let mut scaling = Scaling::new(bounds);
        let (mut sum, mut now, mut before) = (Observation::default(), Duration::ZERO, scaling.wanted());
        for (arrived, waited, waiting, in_flight, call, ready) in observations {
            now += Duration::from_millis(100 * pause);
            sum = Observation {
                arrived: sum.arrived + arrived,
                waited: sum.waited + Duration::from_millis(waited),
                waiting,
                in_flight,
                peak: waiting + in_flight,
                call: call.map(Duration::from_micros),
                ready,
                start: Duration::from_secs(1),
            };
            let reason = scaling.decide(now, sum);
            let wanted = scaling.wanted();
            prop_assert!((min..=max).contains(&wanted), "{} of {:?}", wanted, bounds);
            prop_assert!(wanted + 1 >= before, "more than one less");
            prop_assert_eq!(reason.is_some(), wanted != before);
            prop_assert!(wanted > 0 || waiting + in_flight == 0 || before == 0);
            before = wanted;
        }
    }
}
