//! Whether clients send their next message in the moment after their answer.
//!
//! If they do, a worker that takes the first of these messages handles it alone, and the others wait for a whole call.

use std::time::Duration;
use tokio::time::Instant;

/// The weight that each batch leaves to those before it: about five batches count.
const KEEP: f64 = 0.8;
/// The share of returning clients from which they are likely to return. Of a steady stream of messages, at most a
/// quarter of the size of a batch arrives within a quarter of its time.
const LIKELY: f64 = 0.5;

/// What is known of the clients that got answers.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// The mean share of a batch's size that arrived within the moment after its answers.
    share: f64,
    latest: Option<Latest>,
}

/// The latest batch that was answered.
#[derive(Debug)]
struct Latest {
    size: u16,
    answered: Instant,
    moment: Duration,
    arrived: u16,
}

impl Returns {
    /// Notes that a batch is answered.
    pub(super) fn answered(&mut self, size: u16, now: Instant, moment: Duration) {
        let latest = Latest { size, answered: now, moment, arrived: 0 };
        if let Some(Latest { size, arrived, .. }) = self.latest.replace(latest) {
            let share = (f64::from(arrived) / f64::from(size.max(1))).min(1.0);
            self.share = self.share * KEEP + share * (1.0 - KEEP);
        }
    }

    /// Notes that a message arrived.
    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(latest) = &mut self.latest
            && now.saturating_duration_since(latest.answered) <= latest.moment
        {
            latest.arrived = latest.arrived.saturating_add(1);
        }
    }

    /// Returns whether the clients of a batch are likely to send messages in the moment after its answers.
    pub(super) fn are_likely(&self) -> bool {
        self.share > LIKELY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(2);

    /// After ten batches of four, whose clients return so late.
    fn after(returning: usize, late: Duration) -> Returns {
        let (mut returns, mut now) = (Returns::default(), Instant::now());
        for _ in 0..10 {
            returns.answered(4, now, MOMENT);
            (0..returning).for_each(|_| returns.arrived(now + late));
            now += Duration::from_millis(10);
        }
        returns
    }

    #[test]
    fn clients_that_return_are_learnt() {
        for (returning, late, expected) in
            [(4, 0, true), (4, 2, true), (3, 1, true), (4, 3, false), (1, 0, false), (0, 0, false)]
        {
            let found = after(returning, Duration::from_millis(late)).are_likely();
            assert_eq!(found, expected, "{returning} after {late} ms");
        }
    }

    #[test]
    fn clients_that_no_longer_return_are_learnt() {
        let mut returns = after(4, Duration::ZERO);
        let now = Instant::now() + Duration::from_secs(1);
        for _ in 0..5 {
            returns.answered(4, now, MOMENT);
        }
        assert!(!returns.are_likely());
    }
}
