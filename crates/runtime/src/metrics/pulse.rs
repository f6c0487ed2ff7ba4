//! What happened lately: counts and times of the last five minutes, for who looks at it live.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long one slot is.
const SLOT: Duration = Duration::from_secs(5);
/// How many there are: five minutes.
const SLOTS: u64 = 60;
/// Buckets of times: eight for each doubling, from a microsecond to a minute.
const BUCKETS: usize = 8 * 26;

/// Counts and times, by slot.
#[derive(Debug)]
pub struct Pulse {
    start: Instant,
    slots: Mutex<Vec<Slot>>,
}

/// What happened in one slot.
#[derive(Debug, Clone)]
struct Slot {
    /// Which slot since the start it is; what was in it before is forgotten.
    number: u64,
    failed: u64,
    took: Spread,
    waited: Spread,
}

/// What happened in some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// How much happened.
    pub count: u64,
    /// How much of it failed.
    pub failed: u64,
    /// How long it took.
    pub took: Percentiles,
    /// How long it waited before.
    pub waited: Percentiles,
}

/// How times are spread, milliseconds, to about five percent; `None` where there were none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: Option<f64>,
    /// 95 % are at most this.
    pub p95: Option<f64>,
    /// 99 % are at most this.
    pub p99: Option<f64>,
}

/// How many times fall in each bucket.
#[derive(Debug, Clone)]
struct Spread(Vec<u32>);

impl Spread {
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

/// The middle of a bucket, milliseconds.
fn millis(bucket: usize) -> f64 {
    ((bucket as f64 + 0.5) / 8.0).exp2() / 1e3
}

impl Slot {
    fn new(number: u64) -> Self {
        Self { number, failed: 0, took: Spread::new(), waited: Spread::new() }
    }
}

impl Pulse {
    /// Nothing has happened yet.
    pub(super) fn new(start: Instant) -> Self {
        Self { start, slots: Mutex::default() }
    }

    /// Something happened: how long it took, how long it had waited before, whether it failed.
    pub(super) fn beat(&self, now: Instant, took: Duration, waited: Duration, failed: bool) {
        let number = self.number(now);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(number % SLOTS).unwrap_or_default();
        // The memory comes with the first that happens.
        if slots.len() <= place {
            slots.resize_with(place + 1, || Slot::new(u64::MAX));
        }
        let slot = &mut slots[place];
        if slot.number != number {
            *slot = Slot::new(number);
        }
        slot.failed += u64::from(failed);
        slot.took.add(took);
        slot.waited.add(waited);
    }

    /// What happened within the last `window`, to the next slot.
    pub fn read(&self, now: Instant, window: Duration) -> Reading {
        let newest = self.number(now);
        let oldest = newest.saturating_sub((window.as_secs() / SLOT.as_secs()).clamp(1, SLOTS - 1));
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut failed, mut took, mut waited) = (0, Spread::new(), Spread::new());
        for slot in slots.iter().filter(|slot| (oldest..=newest).contains(&slot.number)) {
            failed += slot.failed;
            took.merge(&slot.took);
            waited.merge(&slot.waited);
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
    fn what_is_old_is_forgotten() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let ms = Duration::from_millis;
        pulse.beat(at(0), ms(10), ms(1), false);
        pulse.beat(at(30), ms(20), ms(1), true);
        let count = |now, window| {
            let reading = pulse.read(at(now), Duration::from_secs(window));
            (reading.count, reading.failed)
        };
        assert_eq!(count(30, 60), (2, 1));
        assert_eq!(count(30, 10), (1, 1));
        assert_eq!(count(80, 60), (1, 1));
        assert_eq!(count(400, 300), (0, 0));
        // The slot is used anew.
        pulse.beat(at(300), ms(5), ms(1), false);
        assert_eq!(count(300, 60), (1, 0));
    }

    #[test]
    fn nothing_has_no_percentiles() {
        let pulse = Pulse::new(Instant::now());
        assert_eq!(pulse.read(Instant::now(), Duration::from_secs(60)).took, Percentiles::default());
    }

    proptest! {
        #[test]
        fn a_time_comes_back_to_about_five_percent(micros in 2u64..60_000_000) {
            let told = millis(bucket(Duration::from_micros(micros)));
            let exact = micros as f64 / 1e3;
            prop_assert!((told / exact - 1.0).abs() < 0.06, "{told} {exact}");
        }
    }
}
