//! What a node's queue measures, so that the number of the node's workers can follow.

use std::time::{Duration, Instant};

/// What a queue has measured. Sums are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLoad {
    /// Messages that have arrived.
    pub arrived: u64,
    /// How long messages have waited for a worker: those that wait now, too.
    pub waited: Duration,
    /// Messages that wait now.
    pub waiting: usize,
    /// Calls that workers run now.
    pub in_flight: usize,
    /// The most calls that were wanted at one time since the last look: those in flight, and those that waited.
    pub peak: usize,
    /// Calls that have ended.
    pub ended: u64,
    /// How long workers were occupied by calls: by those in flight, too.
    pub occupied: Duration,
}

/// Measures the load of a queue: what waits and what is in flight, over time.
#[derive(Debug)]
pub(super) struct Meter {
    /// The most messages of a call.
    messages: usize,
    load: QueueLoad,
    at: Instant,
}

impl Meter {
    pub(super) fn new(messages: usize) -> Self {
        let none = Duration::ZERO;
        let load = QueueLoad {
            arrived: 0,
            waited: none,
            waiting: 0,
            in_flight: 0,
            peak: 0,
            ended: 0,
            occupied: none,
        };
        Self { messages, load, at: Instant::now() }
    }

    /// Counts a message.
    pub(super) fn arrived(&mut self) {
        self.load.arrived += 1;
    }

    /// Counts a call that has ended.
    pub(super) fn ended(&mut self) {
        self.load.ended += 1;
    }

    /// Notes what waits and what is in flight from now on.
    pub(super) fn note(&mut self, now: Instant, waiting: usize, in_flight: usize) {
        let Self { messages, load, at } = self;
        let past = now.saturating_duration_since(std::mem::replace(at, now)).as_nanos();
        // Far fewer than 2^64 nanoseconds of waiting: 500 years.
        let sum =
            |count: usize| Duration::from_nanos(u64::try_from(past * count as u128).unwrap_or(u64::MAX));
        load.waited = load.waited.saturating_add(sum(load.waiting));
        load.occupied = load.occupied.saturating_add(sum(load.in_flight));
        (load.waiting, load.in_flight) = (waiting, in_flight);
        load.peak = load.peak.max(in_flight + waiting.div_ceil(*messages));
    }

    /// Returns what was measured until now. The next peak begins.
    pub(super) fn read(&mut self, now: Instant) -> QueueLoad {
        let QueueLoad { waiting, in_flight, .. } = self.load;
        self.note(now, waiting, in_flight);
        let load = self.load;
        self.load.peak = in_flight + waiting.div_ceil(self.messages);
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_and_calls_are_summed_over_time() {
        let mut meter = Meter::new(4);
        let start = meter.at;
        let at = |millis| start + Duration::from_millis(millis);
        let ms = Duration::from_millis;
        meter.arrived();
        meter.note(at(0), 0, 1);
        (0..6).for_each(|_| meter.arrived());
        meter.note(at(10), 6, 1);
        meter.note(at(15), 2, 2);
        let load = meter.read(at(30));
        assert_eq!((load.arrived, load.waiting, load.in_flight), (7, 2, 2));
        assert_eq!((load.waited, load.occupied), (ms(6 * 5 + 2 * 15), ms(15 + 2 * 15)));
        // One call, and two more for the six that waited.
        assert_eq!(load.peak, 3);
        meter.ended();
        meter.note(at(30), 0, 1);
        let load = meter.read(at(40));
        assert_eq!((load.peak, load.ended, load.waited), (3, 1, ms(60)));
        assert_eq!(meter.read(at(50)).peak, 1);
        // The clock of another thread may be a little behind.
        meter.note(at(45), 0, 0);
        assert_eq!(meter.read(at(50)).occupied, ms(65));
    }
}
