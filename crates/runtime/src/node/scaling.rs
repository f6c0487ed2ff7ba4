//! How many workers a node with `replicas: {min: …, max: …}` should have.
//!
//! [`Scaling`] decides from what the node's queue has measured, by the time that it is given: it starts nothing and reads
//! no clock.
//!
//! - *Up* when messages have waited longer than a call of the handler takes. How many workers more follows from the
//!   arrivals: as many as an M/M/c queue needs for a mean wait of one call (Sakasegawa's approximation), and what the
//!   messages that wait add to them.
//! - *Down* one at a time, when fewer workers would have done for the whole of `idle`: their mean wait would have been half
//!   a call, with a margin for chance, or no message would have waited at all.
//!
//! Between the two there is a gap, so that a constant load leads to a constant number. If the number still goes down and up
//! again, the next step down takes twice as long.

use std::{collections::VecDeque, fmt, time::Duration};

/// What a node's queue has measured. Sums are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Observation {
    /// Messages that have arrived.
    pub(super) arrived: u64,
    /// How long messages have waited for a worker: those that wait now, too.
    pub(super) waited: Duration,
    /// Messages that wait now.
    pub(super) waiting: usize,
    /// Messages that workers have now.
    pub(super) in_flight: usize,
    /// The most calls that were wanted at one time since the last look: those in flight, and those that waited.
    pub(super) peak: usize,
    /// How long a call of the handler occupies a worker, once known.
    pub(super) call: Option<Duration>,
    /// Workers that are ready.
    pub(super) ready: usize,
    /// How long the last worker took to start.
    pub(super) start: Duration,
}

/// The settings of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The fewest workers.
    pub(super) min: usize,
    /// The most workers.
    pub(super) max: usize,
    /// For how long fewer workers must have sufficed.
    pub(super) idle: Duration,
    /// The calls of the handler that a worker runs at a time.
    pub(super) calls: usize,
    /// The messages of a call.
    pub(super) messages: usize,
}

/// Why the number of workers changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reason {
    /// A message arrived while the node slept.
    Woken,
    /// Messages waited longer than a call takes.
    Waits {
        /// The mean wait.
        wait: Duration,
        /// The time of a call.
        call: Duration,
    },
    /// Fewer would have served.
    Fewer(Duration),
    /// There was no message.
    Idle(Duration),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        match self {
            Self::Woken => f.write_str("a message has arrived"),
            Self::Waits { wait, call } => {
                write!(f, "messages wait {:.1} ms on average, and a call takes {:.1} ms", ms(wait), ms(call))
            }
            Self::Fewer(time) => write!(f, "fewer have sufficed for {:.1} s", time.as_secs_f64()),
            Self::Idle(time) => write!(f, "no message for {:.1} s", time.as_secs_f64()),
        }
    }
}

/// The number of workers that a node should have.
#[derive(Debug)]
pub(super) struct Scaling {
    bounds: Bounds,
    wanted: usize,
    /// The latest looks, the oldest first. Waits count since the number of ready workers last changed.
    window: VecDeque<(Duration, Observation)>,
    /// When the number of ready workers changed.
    steady_since: Duration,
    /// The needs of the latest time, those that a later one exceeds left out: the first is the most.
    needs: VecDeque<(Duration, usize)>,
    /// Since when the needs are known.
    known_since: Duration,
    /// For how long fewer must have sufficed, in multiples of the shortest time: more after a step that was undone.
    patience: u32,
    last_down: Option<Duration>,
    last_change: Duration,
    /// Since when there has been no message.
    quiet_since: Duration,
}

/// The shortest and the longest time over which arrivals and waits count, and the number of calls that it should cover.
const WINDOW: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(300), 30);
/// For how long waits must be known before they count.
const STEADY: Duration = Duration::from_secs(1);
/// How many messages that did not wait are added, so that a few that did prove nothing.
const PRIOR: f64 = 8.0;
/// The mean waits, in calls, that lead to more workers, and that fewer workers must keep.
const UP: f64 = 1.0;
const DOWN: f64 = 0.5;
/// How many standard deviations of the arrivals are left to chance: for more workers, and for fewer.
const CHANCE: (f64, f64) = (1.0, 3.0);
/// The time of a call before one has ended.
const FIRST_CALL: Duration = Duration::from_secs(1);
/// Steps down within one hold.
const STEPS: u32 = 10;
/// The calls without which `idle` is longer: a few say nothing about the load.
const HOLD_CALLS: u32 = 50;
/// The most patience.
const MOST_PATIENCE: u32 = 64;

impl Scaling {
    /// The number at the start: one that is to sleep starts awake, so that a node that cannot start is known.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            wanted: bounds.min.max(1),
            bounds,
            window: VecDeque::new(),
            steady_since: Duration::ZERO,
            needs: VecDeque::new(),
            known_since: Duration::ZERO,
            patience: 1,
            last_down: None,
            last_change: Duration::ZERO,
            quiet_since: Duration::ZERO,
        }
    }

    /// The number of workers that there should be.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Decides by what has been measured until now. Returns why the number changes, if it does.
    pub(super) fn decide(&mut self, now: Duration, seen: Observation) -> Option<Reason> {
        self.note(now, seen);
        if self.wanted == 0 {
            return (seen.waiting > 0).then(|| self.up(now, &seen, 1, Reason::Woken));
        }
        let quiet = now.saturating_sub(self.quiet_since);
        if quiet >= self.bounds.idle && self.wanted > self.bounds.min {
            // A node that wakes again has not been in need of more workers.
            (self.wanted, self.last_change) = (self.wanted - 1, now);
            return Some(Reason::Idle(quiet));
        }
        let waits = self.waits(now, &seen);
        let needed = if waits.is_some() { self.wanted } else { self.need(now, &seen) };
        self.note_need(now, &seen, needed);
        let Some(reason) = waits else { return self.down(now, &seen) };
        // While workers start, messages wait for them: only a higher load leads to more.
        let least = if seen.ready < self.wanted { self.wanted } else { self.wanted + 1 };
        let wanted = self.enough(now, &seen).max(least).min(self.bounds.max);
        (wanted > self.wanted).then(|| self.up(now, &seen, wanted, reason))
    }

    fn note(&mut self, now: Duration, seen: Observation) {
        let before = self.window.back().map(|(_, before)| *before).unwrap_or_default();
        if before.ready != seen.ready {
            self.steady_since = now;
        }
        if before.arrived != seen.arrived || seen.waiting + seen.in_flight > 0 {
            self.quiet_since = now;
        }
        self.window.push_back((now, seen));
        let length = length(&seen);
        // One look before the window remains: its sums are those at the beginning.
        while self.window.get(1).is_some_and(|(time, _)| now.saturating_sub(*time) >= length) {
            self.window.pop_front();
        }
        if self.last_change + self.hold(&seen) * 8 < now {
            self.patience = 1;
        }
    }

    /// Returns the mean wait, if messages have waited longer than a call takes, and some still wait.
    fn waits(&self, now: Duration, seen: &Observation) -> Option<Reason> {
        let since = self.window.iter().position(|(time, _)| *time >= self.steady_since)?;
        let (from, before) = self.window[since];
        if seen.waiting == 0 || now.saturating_sub(from) < STEADY {
            return None;
        }
        let messages = (seen.arrived - before.arrived) as f64 + before.waiting as f64;
        let waited = seen.waited.saturating_sub(before.waited).as_secs_f64();
        let call = call(seen);
        let most = UP * call.as_secs_f64() * (messages + PRIOR);
        let wait = Duration::from_secs_f64(waited / messages.max(1.0));
        (messages > 0.0 && waited > most).then_some(Reason::Waits { wait, call })
    }

    /// Returns the calls that arrivals keep running, on average: as many standard deviations more as `chance`.
    fn load(&self, now: Duration, seen: &Observation, chance: f64) -> f64 {
        let Some((from, before)) = self.window.front() else { return 0.0 };
        let time = now.saturating_sub(*from).max(STEADY).as_secs_f64();
        let arrived = (seen.arrived - before.arrived) as f64;
        let arrived = (arrived + chance * arrived.sqrt()).max(0.0);
        arrived / time * call(seen).as_secs_f64() / self.bounds.messages as f64
    }

    /// Returns the fewest workers for the load, and for the messages that wait.
    fn enough(&self, now: Duration, seen: &Observation) -> usize {
        let drain = length(seen).max(seen.start).as_secs_f64();
        let backlog = seen.waiting as f64 / self.bounds.messages as f64 * call(seen).as_secs_f64() / drain;
        self.fewest(self.load(now, seen, -CHANCE.0) + backlog, UP)
    }

    /// Returns the workers without which messages would wait.
    fn need(&self, now: Duration, seen: &Observation) -> usize {
        let by_load = self.fewest(self.load(now, seen, CHANCE.1), DOWN);
        by_load.min(seen.peak.div_ceil(self.bounds.calls)).max(self.bounds.min)
    }

    /// Returns the fewest workers with a mean wait of at most `most` calls.
    fn fewest(&self, load: f64, most: f64) -> usize {
        let fits = |workers: &usize| wait(load, (workers * self.bounds.calls) as f64) <= most;
        (1..self.bounds.max).find(fits).unwrap_or(self.bounds.max)
    }

    fn note_need(&mut self, now: Duration, seen: &Observation, needed: usize) {
        let hold = self.hold(seen);
        while self.needs.back().is_some_and(|(_, other)| *other <= needed) {
            self.needs.pop_back();
        }
        self.needs.push_back((now, needed));
        while self.needs.front().is_some_and(|(time, _)| now.saturating_sub(*time) > hold) {
            self.needs.pop_front();
        }
    }

    fn up(&mut self, now: Duration, seen: &Observation, wanted: usize, reason: Reason) -> Reason {
        if self.last_down.is_some_and(|down| now < down + self.hold(seen) * 4) {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        self.last_down = None;
        self.needs.clear();
        (self.wanted, self.last_change, self.known_since) = (wanted, now, now);
        reason
    }

    /// Takes one worker less, if fewer would have served for long enough.
    fn down(&mut self, now: Duration, seen: &Observation) -> Option<Reason> {
        let needed = self.needs.front().map_or(self.wanted, |(_, needed)| *needed).max(1);
        let hold = self.hold(seen);
        let is_known = now.saturating_sub(self.known_since) >= hold;
        let pause = self.last_down.map_or(Duration::ZERO, |_| hold / STEPS);
        if needed >= self.wanted || !is_known || now.saturating_sub(self.last_change) < pause {
            return None;
        }
        (self.wanted, self.last_change, self.last_down) = (self.wanted - 1, now, Some(now));
        Some(Reason::Fewer(hold))
    }

    /// For how long fewer workers must have sufficed.
    fn hold(&self, seen: &Observation) -> Duration {
        self.bounds.idle.max(call(seen) * HOLD_CALLS) * self.patience
    }
}

/// The time over which arrivals and waits count.
fn length(seen: &Observation) -> Duration {
    let (shortest, longest, calls) = WINDOW;
    (call(seen) * calls).clamp(shortest, longest)
}

fn call(seen: &Observation) -> Duration {
    seen.call.unwrap_or(FIRST_CALL).max(Duration::from_micros(1))
}

/// The mean wait of an M/M/c queue, in mean times of a call, for the load in calls (Sakasegawa 1977).
fn wait(load: f64, servers: f64) -> f64 {
    let used = load / servers;
    if used >= 1.0 {
        return f64::INFINITY;
    }
    used.powf((2.0 * (servers + 1.0)).sqrt() - 1.0) / (servers * (1.0 - used))
}

#[cfg(test)]
mod tests;
