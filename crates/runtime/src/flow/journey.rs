//! The course of requests, for who looks at them: of those in work here, of the others in the store.

use super::{Handled, Route, now};
use bson::{Bson, doc};
use krt_model::{
    message::Timestamp,
    name::Name,
    outcome::{Failure, HandlerResult},
    version::Version,
};
use krt_store::{Ending, HopEnding, Store};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Instant,
};

/// How many of a request's documents are named, and how many bytes the `_id` of one may take with its frame.
const SAVED: usize = 32;
const MAX_ID: usize = 1024;

/// One request's course. It is over when nobody holds it any more, which may be after the client has its answer; then
/// it is stored.
#[derive(Debug)]
pub struct Journey {
    id: Arc<str>,
    route: Arc<Route>,
    start: Timestamp,
    /// The size of its message.
    bytes: usize,
    course: Mutex<Course>,
    /// Where it is listed.
    journeys: Arc<Journeys>,
}

/// What has become of a request.
#[derive(Debug, Default)]
struct Course {
    hops: Vec<Hop>,
    /// The first documents that its handlers saved, and how many they saved in all.
    saved: Vec<Saved>,
    saves: usize,
    /// Whether it was replied to before its workflow ended.
    early: bool,
    /// How it ended for its client, and when.
    end: Option<(Timestamp, End)>,
}

/// One call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    /// The node, by its index in the version.
    pub(super) node: usize,
    /// Its place in the workflow.
    pub(super) position: usize,
    /// When its message was ready for it.
    pub(super) posted: Timestamp,
    pub(super) handled: Handled,
    pub(super) serialised: Serialised,
    pub(super) ending: HopEnding,
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
pub(crate) struct Saved {
    /// The node, by its index in the version.
    pub(crate) node: usize,
    pub(crate) collection: String,
    /// The document's `_id`.
    pub(crate) id: Bson,
}

/// With what a request ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// An answer of so many bytes.
    Answered(usize),
    /// An error.
    Failed(String),
    /// The client left.
    Left,
}

impl End {
    pub(super) fn failed(failure: &Failure) -> Self {
        Self::Failed(failure.to_string())
    }
}

fn is_short(id: &Bson) -> bool {
    doc! { "": id }.to_vec().is_ok_and(|bytes| bytes.len() <= MAX_ID)
}

/// How a call of a handler ended that gave this.
pub(super) fn ending(result: &HandlerResult) -> HopEnding {
    match result {
        HandlerResult::Message { .. } | HandlerResult::Nothing { .. } => HopEnding::Returned,
        HandlerResult::Error(_) | HandlerResult::TooLarge { .. } => HopEnding::Raised,
        HandlerResult::TimedOut
        | HandlerResult::Cancelled
        | HandlerResult::Died(_)
        | HandlerResult::Untouched => HopEnding::Lost,
    }
}

impl Journey {
    pub(super) fn hop(&self, hop: Hop) {
        self.lock().hops.push(hop);
    }

    /// Notes that one of its handlers saved a document.
    pub(crate) fn saved(&self, saved: Saved) {
        let mut course = self.lock();
        course.saves += 1;
        if course.saved.len() < SAVED && is_short(&saved.id) {
            course.saved.push(saved);
        }
    }

    pub(super) fn replied_early(&self) {
        self.lock().early = true;
    }

    pub(super) fn end(&self, end: End) {
        self.lock().end = Some((now(), end));
    }

    fn lock(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of it, in the store's words.
    fn told<'a>(&'a self, course: &'a Course) -> krt_store::Request<'a> {
        let journeys = &self.journeys;
        let end = course.end.as_ref();
        let (ending, error, answer_bytes) = match end.map(|(_, end)| end) {
            Some(End::Answered(bytes)) => (Ending::Answered, None, Some(*bytes)),
            Some(End::Failed(error)) => (Ending::Failed, Some(error.into()), None),
            Some(End::Left) => (Ending::Left, None, None),
            None => (Ending::Working, None, None),
        };
        let node = |index: usize| journeys.nodes[index].as_str().into();
        let hop = |hop: &Hop| krt_store::Hop {
            node: node(hop.node),
            position: hop.position,
            posted: self.after(hop.posted),
            start: self.after(hop.handled.start),
            end: self.after(hop.handled.end),
            written: hop.serialised.written,
            read: hop.serialised.read,
            ending: hop.ending,
        };
        let saved = |saved: &'a Saved| krt_store::Saved {
            node: node(saved.node),
            collection: saved.collection.as_str().into(),
            id: saved.id.clone(),
        };
        krt_store::Request {
            id: (*self.id).into(),
            version: journeys.version.as_str().into(),
            workflow: self.route.workflow.as_str().into(),
            start: i64::try_from(self.start.0).unwrap_or(i64::MAX),
            elapsed: end.map_or_else(now, |(at, _)| *at).0.saturating_sub(self.start.0),
            ending,
            error,
            request_bytes: self.bytes,
            answer_bytes,
            early: course.early,
            hops: course.hops.iter().map(hop).collect(),
            saved: course.saved.iter().map(saved).collect(),
            saves: course.saves,
        }
    }

    /// How long after the request came in, nanoseconds; clocks of other machines may be behind.
    fn after(&self, time: Timestamp) -> i64 {
        time.0.wrapping_sub(self.start.0).cast_signed()
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        let course = self.lock();
        if course.end.is_some() {
            self.journeys.store.request(&self.told(&course));
        }
        self.journeys.lock().remove(&self.id);
    }
}

/// The requests that came in at one door: those in work, and the store for the others.
#[derive(Debug)]
pub struct Journeys {
    version: Name,
    /// By their index in the version.
    nodes: Vec<Name>,
    store: Store,
    working: Mutex<HashMap<Arc<str>, Weak<Journey>>>,
}

impl Journeys {
    pub(super) fn new(version: &Version, store: &Store) -> Self {
        Self {
            version: version.name.clone(),
            nodes: version.nodes.iter().map(|node| node.name.clone()).collect(),
            store: store.clone(),
            working: Mutex::default(),
        }
    }

    /// A request comes in.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: &Arc<str>,
        route: &Arc<Route>,
        start: Timestamp,
        bytes: usize,
    ) -> Arc<Journey> {
        let hops = Vec::with_capacity(route.sequence.len());
        let journey = Arc::new(Journey {
            id: Arc::clone(id),
            route: Arc::clone(route),
            start,
            bytes,
            course: Mutex::new(Course { hops, ..Course::default() }),
            journeys: Arc::clone(self),
        });
        self.lock().insert(Arc::clone(id), Arc::downgrade(&journey));
        journey
    }

    /// Those in work. What is not among them and has ended is with the store, to be read after a flush.
    pub fn working(&self) -> Vec<krt_store::Request<'static>> {
        self.whole(|working| working.values().map(Weak::upgrade).collect())
    }

    /// The one with that id, if it is in work.
    pub fn find(&self, id: &str) -> Option<krt_store::Request<'static>> {
        self.whole(|working| working.get(id).map(Weak::upgrade).into_iter().collect()).pop()
    }

    /// What is known of those that `look` finds. One that is just being handed to the store is neither here nor
    /// there, for less time than it takes to look again.
    fn whole(
        &self,
        look: impl Fn(&HashMap<Arc<str>, Weak<Journey>>) -> Vec<Option<Arc<Journey>>>,
    ) -> Vec<krt_store::Request<'static>> {
        loop {
            // They leave the lock with it: one may end here, and then takes itself off the list.
            let seen = look(&self.lock());
            if seen.iter().all(Option::is_some) {
                return seen
                    .into_iter()
                    .flatten()
                    .map(|journey| journey.told(&journey.lock()).into_owned())
                    .collect();
            }
            drop(seen);
            thread::yield_now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Journey>>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::message::Timestamp;
    use krt_store::{Options, RequestFilter, RequestOrder, Writer};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tempfile::TempDir;

    struct Fixture {
        journeys: Arc<Journeys>,
        route: Arc<Route>,
        _writer: Writer,
        _folder: TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let (store, writer) = Store::open(folder.path(), &Options::default()).unwrap();
            let journeys = Journeys {
                version: Name::parse("v1").unwrap(),
                nodes: vec![Name::parse("model").unwrap()],
                store,
                working: Mutex::default(),
            };
            let route = Route {
                workflow: Name::parse("w").unwrap(),
                index: 0,
                sequence: vec![0],
                answer_type: String::new(),
                answer_limit: 0,
            };
            Self { journeys: Arc::new(journeys), route: Arc::new(route), _writer: writer, _folder: folder }
        }

        fn begin(&self, id: &str) -> Arc<Journey> {
            self.journeys.begin(&id.into(), &self.route, now(), 7)
        }

        async fn stored(&self) -> Vec<krt_store::Request<'static>> {
            self.journeys.store.flush().await.unwrap();
            let reader = self.journeys.store.reader();
            reader.requests(&RequestFilter::default(), RequestOrder::Latest, 1000).unwrap()
        }
    }

    #[tokio::test]
    async fn a_request_is_in_work_until_its_workflow_ended_and_then_stored() {
        let fixture = Fixture::new();
        let journey = fixture.begin("1");
        assert_eq!(fixture.journeys.find("1").unwrap().ending, Ending::Working);
        journey.replied_early();
        journey.end(End::Answered(3));
        let told = fixture.journeys.find("1").unwrap();
        assert_eq!((told.ending, told.answer_bytes, told.hops.len()), (Ending::Answered, Some(3), 0));
        assert_eq!(fixture.stored().await, [], "its workflow goes on");

        let later = |nanos| Timestamp(journey.start.0 + nanos);
        journey.hop(Hop {
            node: 0,
            position: 0,
            posted: Timestamp(journey.start.0 - 5),
            handled: Handled { start: later(10), end: later(30) },
            serialised: Serialised { written: 1, read: 2 },
            ending: HopEnding::Returned,
        });
        drop(journey);
        assert_eq!(fixture.journeys.working(), []);
        let stored = fixture.stored().await;
        assert_eq!(stored.len(), 1);
        assert_eq!((&*stored[0].id, &*stored[0].version, &*stored[0].workflow), ("1", "v1", "w"));
        assert_eq!((stored[0].early, stored[0].request_bytes, stored[0].elapsed), (true, 7, told.elapsed));
        let hop = krt_store::Hop {
            node: "model".into(),
            position: 0,
            posted: -5,
            start: 10,
            end: 30,
            written: 1,
            read: 2,
            ending: HopEnding::Returned,
        };
        assert_eq!(stored[0].hops, [hop]);
    }

    #[tokio::test]
    async fn documents_are_named_up_to_a_bound() {
        let fixture = Fixture::new();
        let journey = fixture.begin("1");
        let long = Bson::String("x".repeat(MAX_ID));
        journey.saved(Saved { node: 0, collection: "c".to_owned(), id: long });
        for number in 0..SAVED + 5 {
            let id = Bson::Int64(number as i64);
            journey.saved(Saved { node: 0, collection: "c".to_owned(), id });
        }
        journey.end(End::failed(&Failure::Lost));
        drop(journey);
        let stored = fixture.stored().await.remove(0);
        assert_eq!((stored.saved.len(), stored.saves), (SAVED, SAVED + 6));
        assert_eq!(stored.saved[1].id, Bson::Int64(1));
        assert_eq!((stored.ending, stored.error), (Ending::Failed, Some(Failure::Lost.to_string().into())));
    }

    /// While requests come and go on another thread, each that has come is seen once: in work or stored.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_request_is_missed_on_its_way_to_the_store() {
        let fixture = Fixture::new();
        let (over, begun) = (AtomicBool::new(false), Mutex::new(Vec::<String>::new()));
        let come_and_go = || {
            for number in 0.. {
                let journey = fixture.begin(&number.to_string());
                begun.lock().unwrap().push(number.to_string());
                journey.end(End::Left);
                drop(journey);
                if over.load(Ordering::Relaxed) || number >= 900 {
                    break;
                }
            }
        };
        let runtime = tokio::runtime::Handle::current();
        thread::scope(|scope| {
            scope.spawn(come_and_go);
            for _ in 0..200 {
                let Some(id) = begun.lock().unwrap().last().cloned() else { continue };
                let working = fixture.journeys.find(&id);
                let stored = tokio::task::block_in_place(|| runtime.block_on(fixture.stored()));
                assert!(
                    working.is_some() || stored.iter().any(|request| request.id == id),
                    "{id} is nowhere"
                );
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
