//! Counts and times of the last five minutes, for live views.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Length of an interval.
const SLOT: Duration = Duration::from_secs(5);
/// Number of intervals: five minutes.
const SLOTS: u64 = 60;
/// Buckets of times: eight per doubling, from a microsecond to a minute.
const BUCKETS: usize = 8 * 26;

/// Counts and times, by interval.
#[derive(Debug)]
pub struct RollingStats {
    start: Instant,
    intervals: Mutex<Vec<Interval>>,
}

/// The events of one interval.
#[derive(Debug, Clone)]
struct Interval {
    /// The interval's number since the start; a new number clears the old content.
    number: u64,
    failed: u64,
    took: Buckets,
    waited: Buckets,
}

/// Statistics of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Number of events.
    pub count: u64,
    /// Number of failures.
    pub failed: u64,
    /// Durations.
    pub took: Percentiles,
    /// Waiting times before.
    pub waited: Percentiles,
}

/// Percentiles of times in milliseconds, to about five percent; `None` without any times.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: Option<f64>,
    /// 95 % are at most this.
    pub p95: Option<f64>,
    /// 99 % are at most this.
    pub p99: Option<f64>,
}

/// Number of times in each bucket.
#[derive(Debug, Clone)]
struct Buckets(Vec<u32>);

impl Buckets {
    fn new() -> Self {
        Self(vec![0; BUCKETS])
    }

    fn add(&mut self, time: Duration) {
        self.0[bucket(time)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
    }

    fn count(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    fn percentiles(&self) -> Percentiles {
        let count = self.count();
        let at = |part: f64| {
            let rank = ((count as f64 * part).ceil() as u64).max(1);
            let mut seen = 0;
            let found = self.0.iter().position(|&in_bucket| {
                seen += u64::from(in_bucket);
                seen >= rank
            });
            found.map(millis)
        };
        Percentiles { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

fn bucket(time: Duration) -> usize {
    let micros = time.as_nanos() as f64 / 1e3;
    let place = (micros.max(1.0).log2() * 8.0) as usize;
    place.min(BUCKETS - 1)
}

/// Returns the middle of a bucket, in milliseconds.
fn millis(bucket: usize) -> f64 {
    ((bucket as f64 + 0.5) / 8.0).exp2() / 1e3
}

impl Interval {
    fn new(number: u64) -> Self {
        Self { number, failed: 0, took: Buckets::new(), waited: Buckets::new() }
    }
}

impl RollingStats {
    /// Creates empty statistics.
    pub(super) fn new(start: Instant) -> Self {
        Self { start, intervals: Mutex::default() }
    }

    /// Records an event: its duration, its waiting time before, and whether it failed.
    pub(super) fn record(&self, now: Instant, took: Duration, waited: Duration, failed: bool) {
        let number = self.number(now);
        let mut intervals = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(number % SLOTS).unwrap_or_default();
        // Memory is allocated on first use.
        if intervals.len() <= place {
            intervals.resize_with(place + 1, || Interval::new(u64::MAX));
        }
        let interval = &mut intervals[place];
        if interval.number != number {
            *interval = Interval::new(number);
        }
        interval.failed += u64::from(failed);
        interval.took.add(took);
        interval.waited.add(waited);
    }

    /// Returns the statistics of the last `window`, to the nearest interval.
    pub fn read(&self, now: Instant, window: Duration) -> Reading {
        let newest = self.number(now);
        let oldest = newest.saturating_sub((window.as_secs() / SLOT.as_secs()).clamp(1, SLOTS - 1));
        let intervals = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut failed, mut took, mut waited) = (0, Buckets::new(), Buckets::new());
        for interval in intervals.iter().filter(|interval| (oldest..=newest).contains(&interval.number)) {
            failed += interval.failed;
            took.merge(&interval.took);
            waited.merge(&interval.waited);
        }
        Reading { count: took.count(), failed, took: took.percentiles(), waited: waited.percentiles() }
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / SLOT.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_values_are_forgotten() {
        let start = Instant::now();
        let recent = RollingStats::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let ms = Duration::from_millis;
        recent.record(at(0), ms(10), ms(1), false);
        recent.record(at(30), ms(20), ms(1), true);
        let count = |now, window| {
            let reading = recent.read(at(now), Duration::from_secs(window));
            (reading.count, reading.failed)
        };
        assert_eq!(count(30, 60), (2, 1));
        assert_eq!(count(30, 10), (1, 1));
        assert_eq!(count(80, 60), (1, 1));
        assert_eq!(count(400, 300), (0, 0));
        // The interval is reused.
        recent.record(at(300), ms(5), ms(1), false);
        assert_eq!(count(300, 60), (1, 0));
    }

    #[test]
    fn empty_stats_have_no_percentiles() {
        let recent = RollingStats::new(Instant::now());
        assert_eq!(recent.read(Instant::now(), Duration::from_secs(60)).took, Percentiles::default());
    }

    proptest! {
        #[test]
        fn times_round_trip_to_about_five_percent(micros in 2u64..60_000_000) {
            let shown = millis(bucket(Duration::from_micros(micros)));
            let exact = micros as f64 / 1e3;
            prop_assert!((shown / exact - 1.0).abs() < 0.06, "{shown} {exact}");
        }
    }
}
