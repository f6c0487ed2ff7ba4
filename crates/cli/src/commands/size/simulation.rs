//! A queueing model of a workflow: requests come at random times, and wait at each node for a free slot of a worker.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// The requests of a simulation. A tenth more come first, to fill the queues.
const REQUESTS: usize = 100_000;
/// The most replicas of a node that are tried.
const MAX_REPLICAS: usize = 1_000;
/// The part of a node's slots that is busy at most: queues grow without end above it, or almost.
const MAX_LOAD: f64 = 0.97;

/// A request that was measured, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// The calls of handlers: the index of the node, and the time that the handler took.
    pub(super) calls: Vec<(usize, f64)>,
    /// The rest of its time.
    pub(super) rest: f64,
}

/// What is known of requests and nodes.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Measured requests, which others are like.
    pub(super) requests: Vec<Request>,
    /// The messages that a replica of each node handles at a time.
    pub(super) slots: Vec<usize>,
    /// Requests a second.
    pub(super) rate: f64,
}

/// What a number of replicas leads to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Latencies in seconds, sorted.
    latencies: Vec<f64>,
    /// The mean wait at each node, in seconds.
    waits: Vec<f64>,
}

impl Outcome {
    /// A percentile, in seconds.
    pub(super) fn percentile(&self, percentile: f64) -> f64 {
        let rank = (percentile / 100.0 * self.latencies.len() as f64).ceil() as usize;
        self.latencies[rank.clamp(1, self.latencies.len()) - 1]
    }
}

impl Model {
    /// Finds the fewest replicas of each node with which a percentile is within a limit, in seconds. Returns what they lead to,
    /// or, as an error, what any number leads to.
    pub(super) fn replicas(&self, percentile: f64, limit: f64) -> Result<(Vec<usize>, Outcome), Outcome> {
        let without_waits = self.simulate(&vec![MAX_REPLICAS; self.slots.len()]);
        if without_waits.percentile(percentile) > limit {
            return Err(without_waits);
        }
        let mut replicas = self.least();
        loop {
            let outcome = self.simulate(&replicas);
            if outcome.percentile(percentile) <= limit {
                return Ok((replicas, outcome));
            }
            let longest = (0..replicas.len())
                .max_by(|one, other| outcome.waits[*one].total_cmp(&outcome.waits[*other]));
            match longest {
                Some(node) if outcome.waits[node] > 0.0 && replicas[node] < MAX_REPLICAS => {
                    // More at once where many are missing.
                    replicas[node] += 1 + replicas[node] / 20;
                }
                _ => return Err(outcome),
            }
        }
    }

    /// The replicas that keep up with the rate.
    fn least(&self) -> Vec<usize> {
        let busy = |node: usize| self.rate * self.mean(node);
        let replicas =
            |(node, slots): (usize, &usize)| (busy(node) / MAX_LOAD / *slots as f64).ceil() as usize;
        self.slots.iter().enumerate().map(replicas).map(|least| least.clamp(1, MAX_REPLICAS)).collect()
    }

    /// The mean time that a request takes at a node, in seconds.
    pub(super) fn mean(&self, node: usize) -> f64 {
        let calls = self.requests.iter().flat_map(|request| &request.calls);
        let sum: f64 = calls.filter(|(of, _)| *of == node).map(|(_, time)| time).sum();
        sum / self.requests.len() as f64
    }

    /// Lets requests come at random times, a Poisson process, each like one that was measured.
    pub(super) fn simulate(&self, replicas: &[usize]) -> Outcome {
        let mut random = fastrand::Rng::with_seed(1);
        let mut nodes: Vec<_> =
            replicas.iter().zip(&self.slots).map(|(replicas, slots)| Node::new(replicas * slots)).collect();
        let all = REQUESTS + REQUESTS / 10;
        let mut events = BinaryHeap::with_capacity(all);
        let (mut now, mut came) = (0.0, Vec::with_capacity(all));
        for number in 0..all {
            now += -(1.0 - random.f64()).ln() / self.rate;
            came.push((now, random.usize(..self.requests.len())));
            events.push(Reverse(Event { time: Time(now), number, call: 0, leaves: None }));
        }
        let (mut latencies, mut waits) = (Vec::with_capacity(REQUESTS), vec![0.0; nodes.len()]);
        while let Some(Reverse(Event { time, number, call, leaves })) = events.pop() {
            // A slot that gets free takes the next message.
            if let Some(node) = leaves
                && let Some(next) = nodes[node].leave()
            {
                waits[node] += time.0 - next.since;
                events.push(Reverse(self.work(next, node, time.0, &came)));
            }
            let (begun, like) = came[number];
            let Some(&(node, _)) = self.requests[like].calls.get(call) else {
                if number >= REQUESTS / 10 {
                    latencies.push(time.0 - begun + self.requests[like].rest);
                }
                continue;
            };
            if let Some(message) = nodes[node].enter(Message { number, call, since: time.0 }) {
                events.push(Reverse(self.work(message, node, time.0, &came)));
            }
        }
        latencies.sort_by(f64::total_cmp);
        waits.iter_mut().for_each(|wait| *wait /= all as f64);
        Outcome { latencies, waits }
    }

    /// The end of a message's work that begins now.
    fn work(&self, message: Message, node: usize, now: f64, came: &[(f64, usize)]) -> Event {
        let (_, time) = self.requests[came[message.number].1].calls[message.call];
        Event { time: Time(now + time), number: message.number, call: message.call + 1, leaves: Some(node) }
    }
}

/// The slots of a node's workers, and the messages that wait for one.
struct Node {
    free: usize,
    queue: VecDeque<Message>,
}

/// A message at a node.
#[derive(Clone, Copy)]
struct Message {
    number: usize,
    call: usize,
    since: f64,
}

impl Node {
    fn new(free: usize) -> Self {
        Self { free, queue: VecDeque::new() }
    }

    /// Takes a slot for a message, or lets it wait.
    fn enter(&mut self, message: Message) -> Option<Message> {
        if self.free == 0 {
            self.queue.push_back(message);
            return None;
        }
        self.free -= 1;
        Some(message)
    }

    /// Frees a slot, or returns the message that has it next.
    fn leave(&mut self) -> Option<Message> {
        let next = self.queue.pop_front();
        self.free += usize::from(next.is_none());
        next
    }
}

/// A request that comes to its next call, after it has left a node.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: Time,
    number: usize,
    call: usize,
    leaves: Option<usize>,
}

/// Seconds, in order.
#[derive(Clone, Copy, PartialEq)]
struct Time(f64);

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests with one call each, whose times are exponential with a mean of 20 ms.
    fn exponential(rate: f64) -> Model {
        let count = 20_000;
        // The quantiles of the distribution, in equal steps.
        let time = |index: usize| -0.02 * (1.0 - (index as f64 + 0.5) / f64::from(count)).ln();
        let requests = (0..usize::try_from(count).unwrap())
            .map(|index| Request { calls: vec![(0, time(index))], rest: 0.001 });
        Model { requests: requests.collect(), slots: vec![1], rate }
    }

    /// The mean wait of M/M/c (Erlang C), in seconds.
    fn erlang_c(rate: f64, mean: f64, servers: usize) -> f64 {
        let (load, count) = (rate * mean, servers as f64);
        let mut term = 1.0;
        let mut sum = 1.0;
        for number in 1..servers {
            term *= load / number as f64;
            sum += term;
        }
        let last = term * load / count / (1.0 - load / count);
        last / (sum + last) * mean / (count - load)
    }

    #[test]
    fn waits_are_those_of_queueing_theory() {
        for (rate, servers) in [(25.0, 1), (80.0, 2), (180.0, 4)] {
            let (model, expected) = (exponential(rate), erlang_c(rate, 0.02, servers));
            let found = model.simulate(&[servers]).waits[0];
            assert!((found / expected - 1.0).abs() < 0.15, "{servers} at {rate}: {found} and {expected}");
        }
    }

    /// The wait of M/D/1 is half of that of M/M/1 (Pollaczek and Khinchine).
    #[test]
    fn regular_handlers_wait_less() {
        let request = Request { calls: vec![(0, 0.02)], rest: 0.0 };
        let model = Model { requests: vec![request], slots: vec![1], rate: 30.0 };
        let (found, expected) = (model.simulate(&[1]).waits[0], 0.6 * 0.02 / 0.4 / 2.0);
        assert!((found / expected - 1.0).abs() < 0.1, "{found} and {expected}");
    }

    #[test]
    fn the_fewest_replicas_are_found() {
        let two = |first: f64, second: f64| Request { calls: vec![(0, first), (1, second)], rest: 0.001 };
        let model =
            Model { requests: vec![two(0.02, 0.005), two(0.03, 0.005)], slots: vec![1, 2], rate: 200.0 };
        let (replicas, outcome) = model.replicas(95.0, 0.06).unwrap();
        assert!(outcome.percentile(95.0) <= 0.06 && replicas[0] >= 6 && replicas[1] == 1, "{replicas:?}");
        let fewer = model.simulate(&[replicas[0] - 1, replicas[1]]);
        assert!(fewer.percentile(95.0) > 0.06, "{replicas:?} are not the fewest");
    }

    #[test]
    fn no_number_of_replicas_is_faster_than_the_handlers() {
        let model = Model {
            requests: vec![Request { calls: vec![(0, 0.2)], rest: 0.0 }],
            slots: vec![1],
            rate: 10.0,
        };
        let best = model.replicas(95.0, 0.1).unwrap_err();
        assert!((best.percentile(95.0) - 0.2).abs() < 0.001, "{}", best.percentile(95.0));
    }

    #[test]
    fn a_node_may_come_twice() {
        let request = Request { calls: vec![(0, 0.01), (0, 0.01)], rest: 0.0 };
        let model = Model { requests: vec![request], slots: vec![1], rate: 40.0 };
        assert_eq!(model.least(), [1]);
        let outcome = model.simulate(&[1]);
        assert!(outcome.percentile(50.0) >= 0.02 && outcome.waits[0] > 0.0);
    }
}
