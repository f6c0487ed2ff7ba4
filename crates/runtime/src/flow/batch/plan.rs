//! The choice of the next batch among the messages that wait.

use super::Curve;
use std::{collections::HashMap, time::Duration};

/// A message that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// Its workflow, by index.
    pub(super) workflow: usize,
    /// Its size, in bytes.
    pub(super) bytes: usize,
    /// The time left until its client stops waiting; [`Duration::MAX`] if no client waits.
    pub(super) left: Duration,
}

/// The bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most messages.
    pub(super) max: u16,
    /// The most bytes of messages; one message may have more.
    pub(super) bytes: usize,
    /// The time that the handler may take.
    pub(super) timeout: Option<Duration>,
    /// The free places, which share what waits.
    pub(super) workers: usize,
}

/// Returns the messages of the next batch by index, at least one of those that wait.
///
/// Workflows take turns; each workflow's messages stay in order. The batch is expected to end before the earliest
/// deadline of its messages and before the timeout. A message that would miss its deadline even alone does not make a
/// batch smaller: it waits for its deadline unless nothing else waits.
///
/// While more wait than a batch holds, messages that would need a smaller batch wait as well. Otherwise, an overloaded
/// node would make ever smaller batches for messages that are close to their deadlines, and handle ever fewer.
///
/// As long as the times are unknown, a batch is one message.
pub(super) fn plan(waiting: &[Waiting], curve: &Curve, bounds: &Bounds) -> Vec<usize> {
    let order = round_robin(waiting);
    let Some(&oldest) = order.first() else { return Vec::new() };
    let target = target(waiting.len(), curve, bounds);
    let left = |index: usize| waiting[index].left;
    let least =
        if waiting.len() > usize::from(bounds.max) { curve.upper_bound(target) } else { Duration::ZERO };
    let fits = |time: Duration| order.iter().copied().find(|&index| left(index) >= time);
    let alone = curve.upper_bound(1);
    let (first, least) = match (fits(least.max(alone)), fits(alone)) {
        (Some(first), _) => (first, least),
        (None, Some(first)) => (first, Duration::ZERO),
        (None, None) => return vec![oldest],
    };
    let (mut batch, mut bytes, mut earliest) = (vec![first], waiting[first].bytes, left(first));
    for index in order.into_iter().filter(|&index| index != first) {
        let size = u16::try_from(batch.len() + 1).unwrap_or(u16::MAX);
        if size > target || curve.upper_bound(size) > earliest {
            break;
        }
        let grown = bytes.saturating_add(waiting[index].bytes);
        if grown > bounds.bytes || left(index) < curve.upper_bound(size).max(least) {
            continue;
        }
        batch.push(index);
        bytes = grown;
        earliest = earliest.min(left(index));
    }
    batch
}

/// Returns the largest batch for so many messages, at least 1.
fn target(waiting: usize, curve: &Curve, bounds: &Bounds) -> u16 {
    if !curve.is_known() {
        return 1;
    }
    let share = u16::try_from(waiting.div_ceil(bounds.workers.max(1))).unwrap_or(u16::MAX).min(bounds.max);
    let in_time = |&size: &u16| bounds.timeout.is_none_or(|timeout| curve.upper_bound(size) <= timeout);
    (1..=share).rev().find(in_time).unwrap_or(1)
}

/// Returns indexes in the order in which workflows take turns.
fn round_robin(waiting: &[Waiting]) -> Vec<usize> {
    let mut turns = HashMap::<usize, usize>::new();
    let mut order: Vec<_> = waiting.iter().enumerate().collect();
    let turn = |(_, message): &(usize, &Waiting)| {
        let turn = turns.entry(message.workflow).or_default();
        *turn += 1;
        *turn
    };
    let turn: Vec<usize> = order.iter().map(turn).collect();
    order.sort_by_key(|(index, _)| turn[*index]);
    order.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEVER: Duration = Duration::MAX;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A little less than 10 ms, and 1 ms for each message.
    fn line() -> Curve {
        let mut curve = Curve::default();
        for size in [1, 33, 65] {
            curve.observe(size, Duration::from_micros(9_900 + 1_000 * u64::from(size)));
        }
        curve
    }

    fn bounds(max: u16) -> Bounds {
        Bounds { max, bytes: 100, timeout: None, workers: 1 }
    }

    /// Messages of one byte: the workflow of each, and the time left.
    fn messages(list: &[(usize, Duration)]) -> Vec<Waiting> {
        list.iter().map(|&(workflow, left)| Waiting { workflow, bytes: 1, left }).collect()
    }

    fn alike(count: usize, left: Duration) -> Vec<Waiting> {
        messages(&vec![(0, left); count])
    }

    fn large(count: usize, bytes: usize) -> Vec<Waiting> {
        vec![Waiting { workflow: 0, bytes, left: NEVER }; count]
    }

    #[test]
    fn batches_are_chosen() {
        let (known, unknown) = (line(), Curve::default());
        let two = Bounds { workers: 2, ..bounds(8) };
        let brief = Bounds { timeout: Some(ms(14)), ..bounds(8) };
        let hopeless = Bounds { timeout: Some(ms(1)), ..bounds(8) };
        for (about, waiting, curve, bounds, expected) in [
            ("nothing waits", vec![], &known, bounds(8), vec![]),
            ("one waits", alike(1, NEVER), &known, bounds(8), vec![0]),
            ("all that wait", alike(3, NEVER), &known, bounds(8), vec![0, 1, 2]),
            ("at most the maximum", alike(9, NEVER), &known, bounds(4), vec![0, 1, 2, 3]),
            ("a maximum of one", alike(9, NEVER), &known, bounds(1), vec![0]),
            ("the times are unknown", alike(3, NEVER), &unknown, bounds(8), vec![0]),
            ("two workers share", alike(5, NEVER), &known, two, vec![0, 1, 2]),
            ("the timeout", alike(6, NEVER), &known, brief, vec![0, 1, 2, 3]),
            ("a timeout below one message", alike(6, NEVER), &known, hopeless, vec![0]),
            ("the deadline of all", alike(6, ms(14)), &known, bounds(8), vec![0, 1, 2, 3]),
            ("the very deadline of two", alike(6, known.upper_bound(2)), &known, bounds(8), vec![0, 1]),
            ("bytes", large(3, 40), &known, bounds(8), vec![0, 1]),
            ("all bytes", large(3, 50), &known, bounds(8), vec![0, 1]),
            ("one message with too many bytes", large(3, 400), &known, bounds(8), vec![0]),
            (
                "a later message with an earlier deadline waits for the next batch",
                messages(&[(0, NEVER), (0, NEVER), (0, ms(12)), (0, NEVER)]),
                &known,
                bounds(8),
                vec![0, 1, 3],
            ),
            (
                "the oldest message decides",
                messages(&[(0, ms(12)), (0, NEVER), (0, NEVER), (0, NEVER)]),
                &known,
                bounds(8),
                vec![0, 1],
            ),
            (
                "too late even alone",
                messages(&[(0, ms(5)), (0, NEVER), (0, NEVER)]),
                &known,
                bounds(8),
                vec![1, 2],
            ),
            ("all are too late", alike(3, ms(5)), &known, bounds(8), vec![0]),
            (
                "a full queue makes no smaller batches",
                messages(&[(0, ms(12)), (0, NEVER), (0, NEVER), (0, ms(12)), (0, NEVER), (0, NEVER)]),
                &known,
                bounds(4),
                vec![1, 2, 4, 5],
            ),
            (
                "a queue of one batch is not full",
                messages(&[(0, ms(12)), (0, NEVER), (0, NEVER), (0, NEVER)]),
                &known,
                bounds(4),
                vec![0, 1],
            ),
            ("unless nothing else would be handled", alike(6, ms(12)), &known, bounds(4), vec![0, 1]),
            (
                "workflows take turns",
                messages(&[(0, NEVER), (0, NEVER), (0, NEVER), (1, NEVER), (2, NEVER), (1, NEVER)]),
                &known,
                bounds(4),
                vec![0, 3, 4, 1],
            ),
        ] {
            assert_eq!(plan(&waiting, curve, &bounds), expected, "{about}");
        }
    }

    proptest! {
        #[test]
        fn batches_keep_their_bounds(
            list in prop::collection::vec((0_usize..3, 1_usize..60, 0_u64..200), 1..40),
            max in 1_u16..20,
            workers in 1_usize..4,
        ) {
            let curve = line();
            let message = |&(workflow, bytes, left)| Waiting { workflow, bytes, left: ms(left) };
            let waiting: Vec<_> = list.iter().map(message).collect();
            let batch = plan(&waiting, &curve, &Bounds { workers, ..bounds(max) });
            prop_assert!(!batch.is_empty() && batch.len() <= usize::from(max));
            let mut unique = batch.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), batch.len());
            if batch.len() > 1 {
                let time = curve.upper_bound(u16::try_from(batch.len()).unwrap());
                prop_assert!(batch.iter().all(|&index| waiting[index].left >= time));
                prop_assert!(batch.iter().map(|&index| waiting[index].bytes).sum::<usize>() <= 100);
            }
        }
    }
}
