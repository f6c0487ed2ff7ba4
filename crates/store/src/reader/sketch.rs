//! Percentiles of many numbers in little memory.
//!
//! The first numbers are kept exactly. Beyond those, numbers are counted in buckets 1/128 of their size wide,
//! so a percentile is off by less than half a percent.

use std::collections::BTreeMap;

/// How many numbers are kept exactly.
const MAX_EXACT: usize = 4096;
/// The bits of a number's fraction that a bucket ignores: 7 of 52 count.
const IGNORED_BITS: u32 = 45;

/// A sketch of the numbers added.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    numbers: Vec<f64>,
    buckets: BTreeMap<i64, u64>,
}

impl Sketch {
    /// Adds a finite number.
    pub(super) fn add(&mut self, number: f64) {
        if self.buckets.is_empty() && self.numbers.len() < MAX_EXACT {
            self.numbers.push(number);
            return;
        }
        for number in self.numbers.drain(..).chain([number]) {
            *self.buckets.entry(bucket(number)).or_default() += 1;
        }
        self.numbers = Vec::new();
    }

    /// The smallest number that is not less than each of these shares of all: 0.5 gives p50. `None` when
    /// empty.
    pub(super) fn percentiles<const N: usize>(&mut self, shares: [f64; N]) -> Option<[f64; N]> {
        if !self.buckets.is_empty() {
            let count = self.buckets.values().sum();
            return Some(shares.map(|share| self.in_buckets(rank(share, count))));
        }
        self.numbers.sort_by(f64::total_cmp);
        let (count, last) = (self.numbers.len() as u64, *self.numbers.last()?);
        Some(shares.map(|share| self.numbers.get(rank(share, count) as usize).copied().unwrap_or(last)))
    }

    fn in_buckets(&self, rank: u64) -> f64 {
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen > rank
        });
        found.map_or(0.0, |(&bucket, _)| middle(bucket))
    }
}

/// The rank, from 0, of a share of this many numbers.
fn rank(share: f64, count: u64) -> u64 {
    ((share * count as f64).ceil() as u64).clamp(1, count.max(1)) - 1
}

/// The bucket of a number; buckets sort as their numbers do.
fn bucket(number: f64) -> i64 {
    let size = (number.abs().to_bits() >> IGNORED_BITS).cast_signed();
    if number.is_sign_negative() { -1 - size } else { size }
}

fn middle(bucket: i64) -> f64 {
    let size = if bucket < 0 { -1 - bucket } else { bucket }.cast_unsigned();
    if size == 0 {
        return 0.0;
    }
    let middle = f64::from_bits(size << IGNORED_BITS | 1 << (IGNORED_BITS - 1));
    if bucket < 0 { -middle } else { middle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn exact(numbers: &[f64], share: f64) -> f64 {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[(share * numbers.len() as f64).ceil() as usize - 1]
    }

    #[test]
    fn few_numbers_are_exact() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.percentiles([0.5]), None);
        (1..=100).rev().for_each(|n| sketch.add(f64::from(n)));
        assert_eq!(sketch.percentiles([0.5, 0.95, 0.99, 1.0]), Some([50.0, 95.0, 99.0, 100.0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn many_numbers_are_off_by_half_a_percent(numbers in vec(-1e9..1e9, MAX_EXACT + 1..2 * MAX_EXACT)) {
            let mut sketch = Sketch::default();
            numbers.iter().for_each(|&number| sketch.add(number));
            for share in [0.01, 0.5, 0.95, 0.99] {
                let [found] = sketch.percentiles([share]).unwrap();
                let expected = exact(&numbers, share);
                prop_assert!((found - expected).abs() <= expected.abs() / 200.0, "{found} {expected}");
            }
        }
    }
}
