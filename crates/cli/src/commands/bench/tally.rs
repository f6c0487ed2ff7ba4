//! Counts what requests came to, in one or several windows of time.

use super::latency::{CONFIDENCE, Latencies, Summary};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tonic::Status;

/// The most intervals of a report; then each becomes twice as long.
const MAX_INTERVALS: usize = 120;
/// The longest message of a failure that is kept, in bytes.
const MAX_MESSAGE: usize = 1 << 10;

/// How a request ended.
#[derive(Debug)]
pub(in crate::commands) enum Outcome {
    /// Of a stream: when the first message came, and how many came.
    Answered {
        first: Option<Duration>,
        messages: u64,
    },
    Failed(Status),
}

/// What requests came to.
#[derive(Debug)]
pub(in crate::commands) struct Tally {
    latencies: Latencies,
    first_messages: Latencies,
    messages: u64,
    failures: BTreeMap<String, (u64, String)>,
    /// Answers that came within a window.
    in_windows: u64,
    intervals: Vec<IntervalTally>,
    interval: Duration,
    /// The windows so far.
    measured: Duration,
    begun: Instant,
}

#[derive(Debug, Clone)]
struct IntervalTally {
    latencies: Latencies,
    failed: u64,
}

/// The figures of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::commands) struct Figures {
    /// The time that was measured, in seconds.
    pub(in crate::commands) seconds: f64,
    /// Requests that were answered.
    pub(in crate::commands) answered: u64,
    /// Requests that failed.
    pub(in crate::commands) failed: u64,
    /// Answers that came in a second.
    pub(in crate::commands) per_second: f64,
    /// Half of the range that has the mean with a confidence of 95 %; `None` if the time was too short to tell.
    pub(in crate::commands) per_second_error: Option<f64>,
    /// From the beginning of a request to its answer; with a rate, from the time at which it was due.
    pub(in crate::commands) latency: Option<Summary>,
    /// The same to the first message of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) first_message: Option<Summary>,
    /// Messages of streams that came in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) messages_per_second: Option<f64>,
    pub(in crate::commands) failures: Vec<Failure>,
    pub(in crate::commands) intervals: Vec<Interval>,
}

/// The state of a tally at one time.
#[derive(Debug)]
pub(in crate::commands) struct Mark {
    latencies: Latencies,
    in_windows: u64,
    measured: Duration,
}

/// The figures of one of several windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::commands) struct Round {
    pub(in crate::commands) per_second: f64,
    pub(in crate::commands) p50_ms: f64,
    pub(in crate::commands) p99_ms: f64,
}

/// Requests that failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Failure {
    /// The name of gRPC's status code.
    pub(in crate::commands) code: String,
    pub(in crate::commands) count: u64,
    /// The message of the first one.
    pub(in crate::commands) message: String,
}

/// The requests of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::commands) struct Interval {
    /// When it ends, in seconds from the beginning.
    pub(in crate::commands) end: f64,
    pub(in crate::commands) per_second: f64,
    pub(in crate::commands) failed: u64,
    pub(in crate::commands) p50_ms: f64,
    pub(in crate::commands) p99_ms: f64,
}

impl Figures {
    /// The error of the rate, as a part of it.
    pub(in crate::commands) fn error(&self) -> Option<f64> {
        self.per_second_error.filter(|_| self.per_second > 0.0).map(|error| error / self.per_second)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latencies: Latencies::new(3),
            first_messages: Latencies::new(3),
            messages: 0,
            failures: BTreeMap::new(),
            in_windows: 0,
            intervals: Vec::new(),
            interval: Duration::from_secs(1),
            measured: Duration::ZERO,
            begun: Instant::now(),
        }
    }
}

impl Tally {
    /// Begins a window.
    pub(in crate::commands) fn resume(&mut self, begun: Instant) {
        self.begun = begun;
    }

    /// Ends a window. Answers that come later have a latency, but do not count for the rate.
    pub(in crate::commands) fn pause(&mut self, end: Instant) {
        self.measured += end.saturating_duration_since(self.begun);
    }

    /// Counts a request that was due at `due` and has ended now; `in_window` says whether the window goes on.
    pub(in crate::commands) fn record(&mut self, due: Instant, outcome: Outcome, in_window: bool) {
        let now = Instant::now();
        let latency = now.saturating_duration_since(due);
        let failed = matches!(outcome, Outcome::Failed(_));
        match outcome {
            Outcome::Answered { first, messages } => {
                self.latencies.record(latency);
                self.messages += messages;
                first.into_iter().for_each(|first| self.first_messages.record(first));
                self.in_windows += u64::from(in_window);
            }
            Outcome::Failed(status) => {
                let code = format!("{:?}", status.code());
                let first = || (0, shorten(status.message()));
                self.failures.entry(code).or_insert_with(first).0 += 1;
            }
        }
        if in_window {
            let at = self.measured + now.saturating_duration_since(self.begun);
            let of = self.interval_at(at);
            if failed {
                of.failed += 1;
            } else {
                of.latencies.record(latency);
            }
        }
    }

    fn interval_at(&mut self, at: Duration) -> &mut IntervalTally {
        let index = |interval: Duration| (at.as_secs_f64() / interval.as_secs_f64()) as usize;
        while index(self.interval) >= MAX_INTERVALS {
            self.interval *= 2;
            let pairs = self.intervals.chunks(2).map(|pair| {
                let mut sum = pair[0].clone();
                if let Some(other) = pair.get(1) {
                    sum.latencies.add(&other.latencies);
                    sum.failed += other.failed;
                }
                sum
            });
            self.intervals = pairs.collect();
        }
        let index = index(self.interval);
        if self.intervals.len() <= index {
            let empty = IntervalTally { latencies: Latencies::new(2), failed: 0 };
            self.intervals.resize(index + 1, empty);
        }
        &mut self.intervals[index]
    }

    /// What [`Tally::since`] compares with.
    pub(in crate::commands) fn mark(&self) -> Mark {
        let Self { latencies, in_windows, measured, .. } = self;
        Mark { latencies: latencies.clone(), in_windows: *in_windows, measured: *measured }
    }

    /// The figures of the windows since a mark.
    pub(in crate::commands) fn since(&self, mark: &Mark) -> Round {
        let latencies = self.latencies.without(&mark.latencies);
        let seconds = (self.measured - mark.measured).as_secs_f64();
        Round {
            per_second: if seconds > 0.0 {
                (self.in_windows - mark.in_windows) as f64 / seconds
            } else {
                0.0
            },
            p50_ms: latencies.at(50.0),
            p99_ms: latencies.at(99.0),
        }
    }

    /// The number of requests that have ended.
    pub(in crate::commands) fn ended(&self) -> u64 {
        self.latencies.count() + self.failed()
    }

    fn failed(&self) -> u64 {
        self.failures.values().map(|(count, _)| count).sum()
    }

    /// The figures of all windows.
    pub(in crate::commands) fn figures(&self) -> Figures {
        let seconds = self.measured.as_secs_f64();
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let intervals = self.intervals();
        Figures {
            seconds,
            answered: self.latencies.count(),
            failed: self.failed(),
            per_second: rate(self.in_windows),
            per_second_error: error_of_mean(&intervals, self.interval),
            latency: self.latencies.summary(),
            first_message: self.first_messages.summary(),
            messages_per_second: (self.messages > 0).then(|| rate(self.messages)),
            failures: self
                .failures
                .iter()
                .map(|(code, (count, message))| Failure {
                    code: code.clone(),
                    count: *count,
                    message: message.clone(),
                })
                .collect(),
            intervals,
        }
    }

    /// The last interval may be shorter than the others.
    fn intervals(&self) -> Vec<Interval> {
        let (length, all) = (self.interval.as_secs_f64(), self.measured.as_secs_f64());
        let interval = |(index, of): (usize, &IntervalTally)| {
            let begin = index as f64 * length;
            let end = (begin + length).min(all);
            (end > begin).then(|| Interval {
                end,
                per_second: of.latencies.count() as f64 / (end - begin),
                failed: of.failed,
                p50_ms: of.latencies.at(50.0),
                p99_ms: of.latencies.at(99.0),
            })
        };
        self.intervals.iter().enumerate().filter_map(interval).collect()
    }
}

/// Takes the whole intervals as samples of the rate: their mean is known to within this.
fn error_of_mean(intervals: &[Interval], length: Duration) -> Option<f64> {
    let length = length.as_secs_f64();
    let is_whole =
        |(index, interval): &(usize, &Interval)| interval.end - *index as f64 * length > length * 0.99;
    let rates: Vec<f64> =
        intervals.iter().enumerate().filter(is_whole).map(|(_, interval)| interval.per_second).collect();
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
    (rates.len() >= 5).then(|| CONFIDENCE * (squares / (count - 1.0) / count).sqrt())
}

fn shorten(message: &str) -> String {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A tally that began `seconds` ago.
    fn since(seconds: u32) -> Tally {
        Tally { begun: Instant::now() - SECOND * seconds, ..Tally::default() }
    }

    fn answered() -> Outcome {
        Outcome::Answered { first: None, messages: 0 }
    }

    #[test]
    fn answers_after_the_window_have_a_latency_only() {
        let mut tally = since(10);
        let begun = tally.begun;
        (0..50).for_each(|_| tally.record(Instant::now(), answered(), true));
        tally.record(Instant::now(), Outcome::Failed(Status::unavailable("gone")), true);
        tally.pause(begun + SECOND * 10);
        tally.record(begun, answered(), false);
        let figures = tally.figures();
        assert_eq!((figures.answered, figures.failed, figures.per_second), (51, 1, 5.0));
        assert!(figures.latency.unwrap().max_ms >= 10_000.0);
        let failure = Failure { code: "Unavailable".to_owned(), count: 1, message: "gone".to_owned() };
        assert_eq!(figures.failures, [failure]);
        assert_eq!((figures.messages_per_second, figures.first_message), (None, None));
    }

    #[test]
    fn windows_follow_each_other() {
        let mut tally = since(3);
        tally.record(Instant::now(), answered(), true);
        tally.pause(tally.begun + SECOND * 4);
        tally.resume(Instant::now() - SECOND);
        tally.record(Instant::now(), answered(), true);
        tally.pause(tally.begun + SECOND * 4);
        let figures = tally.figures();
        assert_eq!((figures.seconds, figures.per_second), (8.0, 0.25));
        let busy: Vec<f64> =
            figures.intervals.iter().filter(|of| of.per_second > 0.0).map(|of| of.end).collect();
        assert_eq!(busy, [4.0, 6.0]);
    }

    #[test]
    fn rounds_are_told_from_each_other() {
        let mut tally = since(2);
        tally.record(tally.begun, answered(), true);
        tally.pause(tally.begun + SECOND * 2);
        let mark = tally.mark();
        tally.resume(Instant::now() - SECOND);
        (0..4).for_each(|_| tally.record(Instant::now(), answered(), true));
        tally.pause(tally.begun + SECOND);
        let round = tally.since(&mark);
        assert!(round.per_second == 4.0 && round.p99_ms < 1000.0, "{round:?}");
        assert_eq!(tally.since(&tally.mark()), Round { per_second: 0.0, p50_ms: 0.0, p99_ms: 0.0 });
    }

    #[test]
    fn long_measurements_have_longer_intervals() {
        let mut tally = since(0);
        for second in 0..1000 {
            tally.begun = Instant::now() - SECOND * second;
            tally.record(Instant::now(), answered(), true);
        }
        tally.measured = SECOND * 1000;
        let intervals = tally.figures().intervals;
        assert!(intervals.len() <= MAX_INTERVALS && tally.interval == SECOND * 16, "{:?}", tally.interval);
        let sum: f64 = intervals
            .iter()
            .scan(0.0, |begin, interval| {
                let length = interval.end - std::mem::replace(begin, interval.end);
                Some(length * interval.per_second)
            })
            .sum();
        assert!((sum - 1000.0).abs() < 0.01, "{sum}");
    }

    #[test]
    fn streams_count_their_messages() {
        let mut tally = since(2);
        let first = Some(Duration::from_millis(5));
        tally.record(Instant::now(), Outcome::Answered { first, messages: 40 }, true);
        tally.pause(tally.begun + SECOND * 2);
        let figures = tally.figures();
        assert_eq!(figures.messages_per_second, Some(20.0));
        assert!((figures.first_message.unwrap().mean_ms - 5.0).abs() < 0.01);
    }
}
