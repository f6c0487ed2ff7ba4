//! The order of waiting deliveries by priority.
//!
//! A step of priority is worth [`PLACES`] places in the queue. A delivery overtakes those of lower priority that arrived
//! shortly before it, and no others: it waits for those that have waited longer. So a delivery is overtaken by at most
//! [`PLACES`] others for each step, however many arrive. Those of equal priority stay in order.

use krt_model::priority::Priority;

/// The places that a step of priority is worth.
const PLACES: i64 = 16;

/// The rank of a delivery, by the number of those that arrived before it. The lowest comes first.
pub(super) fn rank(arrived: u64, priority: Priority) -> i64 {
    let arrived = i64::try_from(arrived).unwrap_or(i64::MAX);
    arrived.saturating_sub(i64::from(priority.level()) * PLACES)
}

/// Returns the place of a new delivery among the ranks that wait, which are in order.
pub(super) fn place(
    mut waiting: impl DoubleEndedIterator<Item = i64> + ExactSizeIterator,
    rank: i64,
) -> usize {
    waiting.rposition(|other| other <= rank).map_or(0, |before| before + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn priority(level: i64) -> Priority {
        Priority::parse(level.to_string().as_bytes()).unwrap()
    }

    /// A queue of ranks with their numbers.
    #[derive(Default)]
    struct Queue {
        arrived: u64,
        waiting: VecDeque<(i64, usize)>,
    }

    impl Queue {
        fn push(&mut self, level: i64, number: usize) {
            self.arrived += 1;
            let rank = rank(self.arrived, priority(level));
            let place = place(self.waiting.iter().map(|(rank, _)| *rank), rank);
            self.waiting.insert(place, (rank, number));
        }

        fn pop(&mut self) -> Option<usize> {
            self.waiting.pop_front().map(|(_, number)| number)
        }
    }

    #[test]
    fn the_lowest_priority_is_not_starved() {
        let mut queue = Queue::default();
        queue.push(10, 0);
        queue.push(-10, 1);
        let mut overtaken = 0;
        // There is always one of the highest priority that waits.
        for number in 2.. {
            queue.push(10, number);
            match queue.pop() {
                Some(1) => break,
                _ => overtaken += 1,
            }
            assert!(overtaken <= 20 * PLACES + 1, "it waits for ever");
        }
        assert!(overtaken >= 20 * PLACES - 1, "{overtaken}: priorities have an effect");
    }

    proptest! {
        #[test]
        fn overtaking_is_bounded_and_equals_stay_in_order(
            levels in proptest::collection::vec(-10_i64..=10, 1..400),
            pops in proptest::collection::vec(any::<bool>(), 1..400),
        ) {
            let (mut queue, mut order) = (Queue::default(), Vec::new());
            let mut pops = pops.into_iter().cycle();
            for (number, level) in levels.iter().enumerate() {
                queue.push(*level, number);
                if pops.next().unwrap() {
                    order.extend(queue.pop());
                }
            }
            order.extend(std::iter::from_fn(|| queue.pop()));
            prop_assert_eq!(order.len(), levels.len());
            for (index, &one) in order.iter().enumerate() {
                for &later in &order[index + 1..] {
                    if later < one {
                        // `one` has overtaken `later`.
                        let steps = levels[one] - levels[later];
                        prop_assert!(steps > 0 && (one - later) as i64 <= steps * PLACES);
                    }
                }
            }
        }
    }
}
