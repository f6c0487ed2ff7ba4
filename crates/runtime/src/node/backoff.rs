//! The wait before a worker is restarted.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Deaths within [`WINDOW`] that make a crash loop.
const CRASH_LOOP: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The latest deaths of a replica.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    deaths: VecDeque<Instant>,
    failures: u32,
}

/// The pause after a death.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// The wait.
    pub(super) wait: Duration,
    /// The deaths within a minute, if they make a crash loop.
    pub(super) crash_loop: Option<usize>,
}

impl Backoff {
    /// Notes a death. `useful`: the worker had answered something, so a restart is worthwhile.
    ///
    /// The first restart is immediate. After workers that answered nothing, the wait doubles each time.
    pub(super) fn died(&mut self, now: Instant, useful: bool) -> Pause {
        self.deaths.push_back(now);
        self.deaths.retain(|&death| now.saturating_duration_since(death) < WINDOW);
        self.failures = if useful { 0 } else { self.failures.saturating_add(1) };
        let wait = match self.failures {
            0 | 1 => Duration::ZERO,
            times => INITIAL_BACKOFF.saturating_mul(1 << (times - 2).min(10)).min(MAX_BACKOFF),
        };
        let deaths = self.deaths.len();
        Pause { wait, crash_loop: (deaths >= CRASH_LOOP).then_some(deaths) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useless_workers_wait_longer_each_time() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let waits: Vec<_> = (0..12).map(|_| backoff.died(now, false).wait.as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000]);
        assert_eq!(backoff.died(now, true).wait, Duration::ZERO);
        assert_eq!(backoff.died(now, false).wait, Duration::ZERO);
    }

    #[test]
    fn a_crash_loop_is_five_deaths_within_a_minute() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for seconds in [0, 1, 2, 3] {
            assert_eq!(backoff.died(at(seconds), true).crash_loop, None);
        }
        assert_eq!(backoff.died(at(4), true).crash_loop, Some(5));
        assert_eq!(backoff.died(at(63), true).crash_loop, None);
    }
}
