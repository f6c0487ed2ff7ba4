//! Latencies, and percentiles with the range in which they lie.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// The largest latency, in nanoseconds; longer ones count as this.
const MAX: u64 = 3_600_000_000_000;
/// The smallest latency, in nanoseconds; shorter ones count as this.
const LEAST: u64 = 1_000;
/// The percentiles of a report.
const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];
/// The quantile of the normal distribution for a confidence of 95 %.
pub(in crate::commands) const CONFIDENCE: f64 = 1.96;

/// Latencies from 1 µs to an hour.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Latencies(Histogram<u64>);

/// What latencies have in common, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::commands) struct Summary {
    pub(in crate::commands) mean_ms: f64,
    pub(in crate::commands) min_ms: f64,
    pub(in crate::commands) max_ms: f64,
    pub(in crate::commands) percentiles: Vec<Percentile>,
}

/// A percentile of the measured latencies, in milliseconds, and the range that has the percentile of all latencies with a
/// confidence of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::commands) struct Percentile {
    /// From 0 to 100.
    pub(in crate::commands) percentile: f64,
    pub(in crate::commands) ms: f64,
    pub(in crate::commands) low_ms: f64,
    /// `None` if the measured latencies are too few to tell.
    pub(in crate::commands) high_ms: Option<f64>,
}

impl Latencies {
    /// No latencies yet; their values are exact to `digits` decimal digits.
    pub(in crate::commands) fn new(digits: u8) -> Self {
        Self(Histogram::new_with_bounds(LEAST, MAX, digits).expect("the bounds are valid"))
    }

    pub(in crate::commands) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(MAX);
        self.0.saturating_record(nanoseconds.clamp(LEAST, MAX));
    }

    pub(in crate::commands) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    /// Those that are not in `earlier`, a copy from before.
    pub(in crate::commands) fn without(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        rest.0.subtract(&earlier.0).expect("the earlier latencies are among these");
        rest
    }

    pub(in crate::commands) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency at a percentile, in milliseconds; 0 before the first answer.
    pub(in crate::commands) fn at(&self, percentile: f64) -> f64 {
        ms(self.0.value_at_percentile(percentile))
    }

    /// `None` if there are no latencies.
    pub(in crate::commands) fn summary(&self) -> Option<Summary> {
        let count = self.count();
        // At least one latency is above a percentile that is shown, besides the median.
        let above = |percentile: &f64| (count as f64 * (100.0 - percentile) / 100.0).round();
        let known = |percentile: &f64| above(percentile) >= 1.0 || *percentile <= 50.0;
        (count > 0).then(|| Summary {
            mean_ms: self.0.mean() / 1e6,
            min_ms: ms(self.0.min()),
            max_ms: ms(self.0.max()),
            percentiles: PERCENTILES.into_iter().filter(known).map(|one| self.percentile(one)).collect(),
        })
    }

    /// Gives the ranks between which a percentile lies, from the binomial distribution of the number of latencies below it,
    /// which is close to a normal one.
    fn percentile(&self, percentile: f64) -> Percentile {
        let (count, part) = (self.count() as f64, percentile / 100.0);
        let spread = CONFIDENCE * (count * part * (1.0 - part)).sqrt();
        let (low, high) = ((count * part - spread).floor().max(1.0), (count * part + spread).ceil() + 1.0);
        let at_rank = |rank: f64| ms(self.0.value_at_quantile(rank / count));
        Percentile {
            percentile,
            ms: self.at(percentile),
            low_ms: at_rank(low),
            high_ms: (high <= count).then(|| at_rank(high)),
        }
    }
}

fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl Iterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new(3);
        milliseconds.for_each(|ms| latencies.record(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn percentiles_have_ranges() {
        let summary = of(1..=1000).summary().unwrap();
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(near(summary.mean_ms, 500.5) && near(summary.min_ms, 1.0) && near(summary.max_ms, 1000.0));
        let shown: Vec<f64> = summary.percentiles.iter().map(|one| one.percentile).collect();
        assert_eq!(shown, [50.0, 75.0, 90.0, 95.0, 99.0, 99.9], "one of a thousand is above 99.9 %");
        let median = summary.percentiles[0];
        // 1000 × 0.5 ± 1.96 × √250
        assert!(near(median.ms, 500.0) && near(median.low_ms, 469.0), "{median:?}");
        assert!(near(median.high_ms.unwrap(), 532.0), "{median:?}");
        assert_eq!(summary.percentiles[5].high_ms, None, "a slower one may be missing");
    }

    /// Of many experiments, about 95 of 100 have the true percentile in their range.
    #[test]
    fn ranges_have_the_true_percentile() {
        let mut random = fastrand::Rng::with_seed(7);
        for percentile in [50.0, 95.0] {
            let holds = (0..400).filter(|_| {
                let found = of((0..2000).map(|_| random.u64(1..=10_000))).percentile(percentile);
                let truth = percentile * 100.0;
                found.low_ms <= truth * 1.001 && found.high_ms.is_some_and(|high| high >= truth * 0.999)
            });
            let share = holds.count();
            assert!((360..=396).contains(&share), "{share} of 400 at {percentile}");
        }
    }

    #[test]
    fn few_latencies() {
        assert_eq!(Latencies::new(3).summary(), None);
        let one = of(std::iter::once(5)).summary().unwrap();
        assert_eq!(one.percentiles.iter().map(|one| one.percentile).collect::<Vec<_>>(), [50.0]);
        assert_eq!(one.percentiles[0].high_ms, None);
    }
}
