//! Prints the progress of a run, and ends a run in which no requests are answered any more.

use super::load::Tally;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// The maximum time without an answered request while the engine and the server run: several times a
/// request's deadline.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    answered: usize,
    answered_at: Instant,
}

impl Progress {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, answered: 0, answered_at: now }
    }

    /// Asserts that requests are still answered.
    pub(super) fn check(&mut self, tally: &Tally) {
        let answered = tally.answered.load(Ordering::Relaxed);
        if answered > self.answered {
            (self.answered, self.answered_at) = (answered, Instant::now());
        }
        let silence = self.answered_at.elapsed();
        assert!(silence < STALL_TIMEOUT, "no request was answered for {silence:.0?}: {tally}");
    }

    /// Prints an event and the progress.
    #[expect(clippy::print_stdout, reason = "a run of hours says how far it is")]
    pub(super) fn happened(&mut self, what: &str, tally: &Tally) {
        println!("{:.0} s: {what}; {tally}", self.started.elapsed().as_secs_f64());
        self.answered_at = Instant::now();
    }
}
