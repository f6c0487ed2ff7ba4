//! How long batches of a node take, learnt from those that it has handled.

use std::time::Duration;

/// The weight that each batch leaves to those before it: about twenty batches count.
const KEEP: f64 = 0.95;
/// The weight from which a batch that took far longer than expected counts as an outlier.
const SETTLED: f64 = 5.0;
/// The most that one batch counts, in multiples of the expected time.
const OUTLIER: f64 = 4.0;
/// How many standard deviations a batch may take longer than the line says.
const MARGIN: f64 = 2.0;
/// A variance of sizes below which they count as equal.
const EQUAL: f64 = 1e-6;

/// The line `base + each · size` through the times of the latest batches.
///
/// It is a least-squares fit with weights that decay. An outlier is cut, so that one pause does not shrink the
/// batches after it. As long as all batches had the same size, the time is assumed to grow in proportion to the size.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    // Weighted sums; times in seconds.
    weight: f64,
    size: f64,
    size_squared: f64,
    time: f64,
    time_squared: f64,
    product: f64,
}

/// A line, and how far the times are from it.
struct Line {
    base: f64,
    each: f64,
    deviation: f64,
}

impl Curve {
    /// Learns the time of a batch.
    pub fn observe(&mut self, size: u16, took: Duration) {
        let n = f64::from(size.max(1));
        let mut t = took.as_secs_f64();
        if self.weight >= SETTLED {
            t = t.min(OUTLIER * self.upper_bound(size).as_secs_f64().max(self.time / self.weight));
        }
        let Self { weight, size, size_squared, time, time_squared, product } = self;
        for (sum, term) in [
            (weight, 1.0),
            (size, n),
            (size_squared, n * n),
            (time, t),
            (time_squared, t * t),
            (product, n * t),
        ] {
            *sum = *sum * KEEP + term;
        }
    }

    /// Returns whether it has learnt anything.
    pub fn is_known(&self) -> bool {
        self.weight > 0.0
    }

    /// Returns the mean size of the latest batches; 0 before it has learnt anything.
    pub fn mean_size(&self) -> f64 {
        if self.is_known() { self.size / self.weight } else { 0.0 }
    }

    /// Returns the mean time of a batch of this size; zero before it has learnt anything.
    pub fn mean(&self, size: u16) -> Duration {
        self.line().map_or(Duration::ZERO, |line| seconds(line.base + line.each * f64::from(size)))
    }

    /// Returns the time within which almost every batch of this size ends; zero before it has learnt anything.
    pub fn upper_bound(&self, size: u16) -> Duration {
        let at = |line: Line| line.base + line.each * f64::from(size) + MARGIN * line.deviation;
        self.line().map_or(Duration::ZERO, |line| seconds(at(line)))
    }

    fn line(&self) -> Option<Line> {
        if !self.is_known() {
            return None;
        }
        let (size, time) = (self.size / self.weight, self.time / self.weight);
        let spread = self.size_squared / self.weight - size * size;
        let covariance = self.product / self.weight - size * time;
        // No batch takes less than nothing: the line is not below the origin.
        let most = time / size;
        let each = if spread > EQUAL { (covariance / spread).clamp(0.0, most) } else { most };
        let spread_of_time = self.time_squared / self.weight - time * time;
        let rest = spread_of_time - each * (2.0 * covariance - each * spread);
        Some(Line { base: (time - each * size).max(0.0), each, deviation: rest.max(0.0).sqrt() })
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn learnt(batches: &[(u16, u64)]) -> Curve {
        let mut curve = Curve::default();
        for &(size, millis) in batches {
            curve.observe(size, ms(millis));
        }
        curve
    }

    fn near(found: Duration, expected: Duration) -> bool {
        found.abs_diff(expected) <= expected / 100 + Duration::from_micros(1)
    }

    #[test]
    fn what_batches_teach() {
        for (batches, size, expected) in [
            (&[][..], 64, 0),
            // One size only: in proportion.
            (&[(1, 10)], 1, 10),
            (&[(1, 10)], 8, 80),
            (&[(4, 40), (4, 40)], 1, 10),
            // Two sizes give a line.
            (&[(1, 11), (11, 21)], 64, 74),
            (&[(1, 11), (11, 21)], 1, 11),
            // The time does not depend on the size.
            (&[(1, 20), (64, 20)], 32, 20),
        ] {
            let found = learnt(batches).mean(size);
            assert!(near(found, ms(expected)), "{batches:?}: {found:?} for {size}");
        }
    }

    #[test]
    fn times_that_vary_leave_a_margin() {
        let steady = learnt(&[(1, 20), (64, 20)].repeat(10));
        let varies = learnt(&[(8, 10), (8, 30)].repeat(10));
        assert!(near(steady.upper_bound(8), ms(20)), "{:?}", steady.upper_bound(8));
        assert!(varies.upper_bound(8) > ms(35), "{:?}", varies.upper_bound(8));
        // Beside a line of two sizes: 10 ms more or less.
        let both = learnt(&[(1, 10), (1, 30), (8, 24), (8, 44)].repeat(10));
        assert!((ms(50)..ms(58)).contains(&both.upper_bound(8)), "{:?}", both.upper_bound(8));
    }

    #[test]
    fn the_mean_size_is_learnt() {
        assert_eq!(Curve::default().mean_size().to_bits(), 0);
        let size = learnt(&[(2, 1), (6, 1)].repeat(20)).mean_size();
        assert!((4.0..4.2).contains(&size), "{size}");
    }

    #[test]
    fn one_pause_does_not_change_much() {
        let mut curve = learnt(&[(1, 10), (8, 24)].repeat(20));
        curve.observe(8, Duration::from_secs(60));
        assert!(curve.mean(8) < ms(60), "{:?}", curve.mean(8));
    }

    #[test]
    fn a_slower_handler_is_learnt() {
        let mut curve = learnt(&[(1, 10), (8, 24)].repeat(20));
        for _ in 0..60 {
            curve.observe(1, ms(1000));
            curve.observe(8, ms(2400));
        }
        assert!(near(curve.mean(8), ms(2400)), "{:?}", curve.mean(8));
    }

    proptest! {
        #[test]
        fn a_line_is_learnt(base in 0_u32..100_000, each in 0_u32..10_000, sizes in prop::collection::vec(1_u16..=64, 2..40)) {
            let time = |size: u16| Duration::from_micros(u64::from(base) + u64::from(each) * u64::from(size));
            let mut curve = Curve::default();
            for size in &sizes {
                curve.observe(*size, time(*size));
            }
            if sizes.iter().any(|size| *size != sizes[0]) {
                prop_assert!(near(curve.mean(32), time(32)), "{:?}, {:?}", curve.mean(32), time(32));
            }
        }

        #[test]
        fn larger_batches_take_no_less(batches in prop::collection::vec((1_u16..=1024, 0_u64..1 << 40), 0..60)) {
            let mut curve = Curve::default();
            for (size, nanos) in batches {
                curve.observe(size, Duration::from_nanos(nanos));
            }
            for size in 1..1024 {
                prop_assert!(curve.upper_bound(size) <= curve.upper_bound(size + 1) + Duration::from_nanos(1));
                prop_assert!(curve.mean(size) <= curve.upper_bound(size));
            }
        }
    }
}
