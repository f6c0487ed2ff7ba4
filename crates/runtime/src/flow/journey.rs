//! The course of the latest requests, for who looks at them: kept in memory, bounded.

use super::{Handled, Route};
use bson::Bson;
use krt_model::{
    message::Timestamp,
    outcome::{Failure, HandlerResult},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// How many of the latest requests are kept.
const LATEST: usize = 10_000;
/// How many of the latest that failed.
const FAILED: usize = 1_000;
/// How many of the slowest, and for how long, nanoseconds.
const SLOWEST: usize = 200;
const SLOW_FOR: u64 = 3_600_000_000_000;
/// How many of a request's documents are named.
const SAVED: usize = 32;

/// One request's course.
#[derive(Debug)]
pub struct Journey {
    /// The request's id.
    pub id: Arc<str>,
    /// Where it goes.
    pub route: Arc<Route>,
    /// When it came in.
    pub start: Timestamp,
    /// The size of its message.
    pub bytes: usize,
    course: Mutex<Course>,
}

/// What has become of a request.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// The handlers that were called.
    pub hops: Vec<Hop>,
    /// The first documents that its handlers saved.
    pub saved: Vec<Saved>,
    /// How many they saved in all.
    pub saves: usize,
    /// Whether it was replied to before its workflow ended.
    pub early: bool,
    /// How it ended for its client; `None`: it is in work.
    pub end: Option<End>,
}

/// One call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The node, by its index in the version.
    pub node: usize,
    /// Its place in the workflow.
    pub position: usize,
    /// When its message was ready for it.
    pub posted: Timestamp,
    /// When the handler began and ended.
    pub handled: Handled,
    /// What the engine needed to write its message for the host, and to read the host's.
    pub serialised: Serialised,
    /// How it ended.
    pub ending: HopEnding,
}

/// What the engine needs for the form of messages at one node, such as JSON; nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Serialised {
    /// To write the message that the host gets.
    pub written: u64,
    /// To read the message that the host gives.
    pub read: u64,
}

impl Serialised {
    /// The time since then.
    pub fn since(begun: Instant) -> u64 {
        u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A document that a handler saved; a prediction is one, too.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The node, by its index in the version.
    pub node: usize,
    /// The collection.
    pub collection: String,
    /// The document's `_id`.
    pub id: Bson,
}

/// How a call of a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopEnding {
    /// It returned.
    Returned,
    /// It raised.
    Raised,
    /// Its process died, or it was stopped.
    Lost,
}

/// How a request ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// With what.
    pub kind: EndKind,
}

/// With what a request ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndKind {
    /// An answer of so many bytes.
    Answered(usize),
    /// An error.
    Failed(String),
    /// The client left.
    Left,
}

impl From<&HandlerResult> for HopEnding {
    fn from(result: &HandlerResult) -> Self {
        match result {
            HandlerResult::Message { .. } | HandlerResult::Nothing { .. } => Self::Returned,
            HandlerResult::Error(_) | HandlerResult::TooLarge { .. } => Self::Raised,
            HandlerResult::TimedOut
            | HandlerResult::Cancelled
            | HandlerResult::Died(_)
            | HandlerResult::Untouched => Self::Lost,
        }
    }
}

impl EndKind {
    pub(super) fn failed(failure: &Failure) -> Self {
        Self::Failed(failure.to_string())
    }
}

impl Journey {
    pub(super) fn new(id: Arc<str>, route: Arc<Route>, start: Timestamp, bytes: usize) -> Self {
        let course = Course { hops: Vec::with_capacity(route.sequence.len()), ..Course::default() };
        Self { id, route, start, bytes, course: Mutex::new(course) }
    }

    /// What has become of it.
    pub fn course(&self) -> Course {
        self.lock().clone()
    }

    pub(super) fn hop(&self, hop: Hop) {
        self.lock().hops.push(hop);
    }

    /// Notes that one of its handlers saved a document.
    pub(crate) fn saved(&self, saved: Saved) {
        let mut course = self.lock();
        course.saves += 1;
        if course.saved.len() < SAVED {
            course.saved.push(saved);
        }
    }

    pub(super) fn replied_early(&self) {
        self.lock().early = true;
    }

    fn end(&self, end: End) {
        self.lock().end = Some(end);
    }

    fn lock(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests that are kept.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    latest: VecDeque<Arc<Journey>>,
    failed: VecDeque<Arc<Journey>>,
    /// With how long each took, nanoseconds; the quickest of them last.
    slowest: Vec<(u64, Arc<Journey>)>,
}

impl Recent {
    pub(super) fn begun(&self, journey: &Arc<Journey>) {
        push(&mut self.lock().latest, journey, LATEST);
    }

    pub(super) fn ended(&self, journey: &Arc<Journey>, end: End) {
        let took = end.at.0.saturating_sub(journey.start.0);
        let failed = matches!(end.kind, EndKind::Failed(_));
        let now = end.at;
        journey.end(end);
        let mut kept = self.lock();
        if failed {
            push(&mut kept.failed, journey, FAILED);
        }
        kept.slow(journey, took, now);
    }

    /// All that are kept, the latest first.
    pub fn all(&self) -> Vec<Arc<Journey>> {
        let kept = self.lock();
        let slowest = kept.slowest.iter().map(|(_, journey)| journey);
        let mut all: Vec<_> = kept.latest.iter().chain(&kept.failed).chain(slowest).cloned().collect();
        drop(kept);
        all.sort_by(|one, other| (other.start, &other.id).cmp(&(one.start, &one.id)));
        all.dedup_by(|one, other| Arc::ptr_eq(one, other));
        all
    }

    /// The one with that id.
    pub fn find(&self, id: &str) -> Option<Arc<Journey>> {
        let kept = self.lock();
        let slowest = kept.slowest.iter().map(|(_, journey)| journey);
        kept.latest
            .iter()
            .rev()
            .chain(&kept.failed)
            .chain(slowest)
            .find(|journey| &*journey.id == id)
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn slow(&mut self, journey: &Arc<Journey>, took: u64, now: Timestamp) {
        if self.slowest.len() >= SLOWEST && self.slowest.last().is_some_and(|(quickest, _)| took <= *quickest)
        {
            return;
        }
        self.slowest.retain(|(_, journey)| now.0.saturating_sub(journey.start.0) < SLOW_FOR);
        let place = self.slowest.partition_point(|(other, _)| *other >= took);
        self.slowest.insert(place, (took, Arc::clone(journey)));
        self.slowest.truncate(SLOWEST);
    }
}

fn push(queue: &mut VecDeque<Arc<Journey>>, journey: &Arc<Journey>, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(Arc::clone(journey));
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::name::Name;

    fn journey(number: usize) -> Arc<Journey> {
        let route = Route {
            workflow: Name::parse("w").unwrap(),
            index: 0,
            sequence: vec![0],
            answer_type: String::new(),
            answer_limit: 0,
        };
        Arc::new(Journey::new(number.to_string().into(), Arc::new(route), Timestamp(number as u64), 0))
    }

    fn end(journey: &Journey, took: u64, kind: EndKind) -> End {
        End { at: Timestamp(journey.start.0 + took), kind }
    }

    #[test]
    fn failed_and_slow_ones_outlive_the_crowd() {
        let recent = Recent::default();
        for number in 0..LATEST + 100 {
            let journey = journey(number);
            recent.begun(&journey);
            let (took, kind) = match number {
                1 => (1, EndKind::Failed("no".to_owned())),
                2 => (1000, EndKind::Answered(0)),
                _ => (10, EndKind::Answered(0)),
            };
            recent.ended(&journey, end(&journey, took, kind));
        }
        assert!(recent.find("1").is_some());
        assert!(recent.find("2").is_some());
        assert_eq!(recent.find("50").is_some(), 50 < SLOWEST);
        assert!(recent.find("99").is_some_and(|journey| journey.course().end.is_some()));
        let all = recent.all();
        assert!(all.len() <= LATEST + FAILED + SLOWEST);
        assert!(all.is_sorted_by(|one, other| one.start > other.start), "no request is told twice");
    }

    #[test]
    fn documents_are_named_up_to_a_bound() {
        let journey = journey(0);
        for number in 0..SAVED + 5 {
            let id = Bson::Int64(number as i64);
            journey.saved(Saved { node: 0, collection: "c".to_owned(), id });
        }
        let course = journey.course();
        assert_eq!((course.saved.len(), course.saves), (SAVED, SAVED + 5));
        assert_eq!(course.saved[1].id, Bson::Int64(1));
    }

    #[test]
    fn slow_ones_are_forgotten_after_an_hour() {
        let mut kept = Kept::default();
        kept.slow(&journey(0), 1_000, Timestamp(1_000));
        kept.slow(&journey(1), 10, Timestamp(SLOW_FOR + 1_000));
        assert_eq!(kept.slowest.len(), 1);
        assert_eq!(kept.slowest[0].0, 10);
    }
}
