//! The records of requests: those in flight here, and older ones in the store.

use super::{HandlerTimes, Route, now};
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

/// Limits on what a record names: the number of documents, and the bytes of an `_id` with its BSON frame.
const SAVED: usize = 32;
const MAX_ID: usize = 1024;

/// The record of one request. It is stored when the last reference to it is dropped, which may be after the
/// client has its answer.
#[derive(Debug)]
pub struct RequestRecord {
    id: Arc<str>,
    route: Arc<Route>,
    start: Timestamp,
    /// The size of its message, in bytes.
    bytes: usize,
    state: Mutex<State>,
    /// The list that contains it.
    request_records: Arc<RequestRecords>,
}

/// The progress of a request.
#[derive(Debug, Default)]
struct State {
    hops: Vec<Hop>,
    /// The first documents that its handlers saved, and the count of all.
    saved: Vec<Saved>,
    saves: usize,
    /// Whether it was answered before its workflow ended.
    early: bool,
    /// How it ended for its client, and when.
    end: Option<(Timestamp, End)>,
}

/// One call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    /// The node, by its index in the version.
    pub(super) node: usize,
    /// Its position in the workflow.
    pub(super) position: usize,
    /// When its message was ready.
    pub(super) posted: Timestamp,
    pub(super) handled: HandlerTimes,
    pub(super) codec_times: CodecTimes,
    pub(super) ending: HopEnding,
}

/// The engine's time for converting the messages of one node, such as from and to JSON; nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodecTimes {
    /// Writing the worker's input.
    pub encode: u64,
    /// Reading the worker's output.
    pub decode: u64,
}

impl CodecTimes {
    /// Returns the nanoseconds since `begun`.
    pub fn since(begun: Instant) -> u64 {
        u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A document or prediction that a handler saved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Saved {
    /// The node, by its index in the version.
    pub(crate) node: usize,
    pub(crate) collection: String,
    /// The document's `_id`.
    pub(crate) id: Bson,
}

/// How a request ended for its client.
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

/// Returns how a handler call with this result ended.
pub(super) fn ending(result: &HandlerResult) -> HopEnding {
    match result {
        HandlerResult::Message { .. } | HandlerResult::Nothing { .. } => HopEnding::Returned,
        HandlerResult::Error(_) | HandlerResult::TooLarge { .. } | HandlerResult::NoMemory { .. } => {
            HopEnding::Raised
        }
        HandlerResult::TimedOut => HopEnding::TimedOut,
        HandlerResult::Cancelled => HopEnding::Cancelled,
        HandlerResult::OutOfMemory(_) => HopEnding::OutOfMemory,
        HandlerResult::Died(_) | HandlerResult::Untouched => HopEnding::Died,
    }
}

impl RequestRecord {
    pub(super) fn hop(&self, hop: Hop) {
        self.lock().hops.push(hop);
    }

    /// Records a document that one of its handlers saved.
    pub(crate) fn saved(&self, saved: Saved) {
        let mut state = self.lock();
        state.saves += 1;
        if state.saved.len() < SAVED && is_short(&saved.id) {
            state.saved.push(saved);
        }
    }

    pub(super) fn replied_early(&self) {
        self.lock().early = true;
    }

    pub(super) fn end(&self, end: End) {
        self.lock().end = Some((now(), end));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Converts the record to the store's form.
    fn to_stored<'a>(&'a self, state: &'a State) -> krt_store::Request<'a> {
        let request_records = &self.request_records;
        let end = state.end.as_ref();
        let (ending, error, answer_bytes) = match end.map(|(_, end)| end) {
            Some(End::Answered(bytes)) => (Ending::Answered, None, Some(*bytes)),
            Some(End::Failed(error)) => (Ending::Failed, Some(error.into()), None),
            Some(End::Left) => (Ending::Left, None, None),
            None => (Ending::InFlight, None, None),
        };
        let node = |index: usize| request_records.nodes[index].as_str().into();
        let hop = |hop: &Hop| krt_store::Hop {
            node: node(hop.node),
            position: hop.position,
            posted: self.after(hop.posted),
            start: self.after(hop.handled.start),
            end: self.after(hop.handled.end),
            encode: hop.codec_times.encode,
            decode: hop.codec_times.decode,
            ending: hop.ending,
        };
        let saved = |saved: &'a Saved| krt_store::Saved {
            node: node(saved.node),
            collection: saved.collection.as_str().into(),
            id: saved.id.clone(),
        };
        krt_store::Request {
            id: (*self.id).into(),
            version: request_records.version.as_str().into(),
            workflow: self.route.workflow.as_str().into(),
            start: i64::try_from(self.start.0).unwrap_or(i64::MAX),
            elapsed: end.map_or_else(now, |(at, _)| *at).0.saturating_sub(self.start.0),
            ending,
            error,
            request_bytes: self.bytes,
            answer_bytes,
            early: state.early,
            hops: state.hops.iter().map(hop).collect(),
            saved: state.saved.iter().map(saved).collect(),
            saves: state.saves,
        }
    }

    /// Returns the nanoseconds from the request's arrival to `time`; negative if another machine's clock is
    /// behind.
    fn after(&self, time: Timestamp) -> i64 {
        time.0.wrapping_sub(self.start.0).cast_signed()
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let state = self.lock();
        if state.end.is_some() {
            self.request_records.store.request(&self.to_stored(&state));
        }
        self.request_records.lock().remove(&self.id);
    }
}

/// The records of the requests received at one ingress: those in flight, and the store for the others.
#[derive(Debug)]
pub struct RequestRecords {
    version: Name,
    /// By index in the version.
    nodes: Vec<Name>,
    store: Store,
    in_flight: Mutex<HashMap<Arc<str>, Weak<RequestRecord>>>,
}

impl RequestRecords {
    pub(super) fn new(version: &Version, store: &Store) -> Self {
        Self {
            version: version.name.clone(),
            nodes: version.nodes.iter().map(|node| node.name.clone()).collect(),
            store: store.clone(),
            in_flight: Mutex::default(),
        }
    }

    /// Starts the record of a request.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: &Arc<str>,
        route: &Arc<Route>,
        start: Timestamp,
        bytes: usize,
    ) -> Arc<RequestRecord> {
        let hops = Vec::with_capacity(route.sequence.len());
        let record = Arc::new(RequestRecord {
            id: Arc::clone(id),
            route: Arc::clone(route),
            start,
            bytes,
            state: Mutex::new(State { hops, ..State::default() }),
            request_records: Arc::clone(self),
        });
        self.lock().insert(Arc::clone(id), Arc::downgrade(&record));
        record
    }

    /// Returns the requests in flight. Ended requests are in the store; flush it before reading.
    pub fn in_flight(&self) -> Vec<krt_store::Request<'static>> {
        self.upgrade_all(|in_flight| in_flight.values().map(Weak::upgrade).collect())
    }

    /// Returns the request with that id, if it is in flight.
    pub fn find(&self, id: &str) -> Option<krt_store::Request<'static>> {
        self.upgrade_all(|in_flight| in_flight.get(id).map(Weak::upgrade).into_iter().collect()).pop()
    }

    /// Returns the requests that `look` finds. A request on its way to the store is in neither place for a
    /// moment, in which case this looks again.
    fn upgrade_all(
        &self,
        look: impl Fn(&HashMap<Arc<str>, Weak<RequestRecord>>) -> Vec<Option<Arc<RequestRecord>>>,
    ) -> Vec<krt_store::Request<'static>> {
        loop {
            // The strong references outlive the lock: dropping the last one locks the list, to remove the
            // record.
            let seen = look(&self.lock());
            if seen.iter().all(Option::is_some) {
                return seen
                    .into_iter()
                    .flatten()
                    .map(|record| record.to_stored(&record.lock()).into_owned())
                    .collect();
            }
            drop(seen);
            thread::yield_now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<RequestRecord>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::message::Timestamp;
    use krt_store::{Options, RequestFilter, RequestOrder, Writer};
    use std::sync::mpsc;
    use tempfile::TempDir;

    struct Fixture {
        request_records: Arc<RequestRecords>,
        route: Arc<Route>,
        _writer: Writer,
        _folder: TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let (store, writer) = Store::open(folder.path(), &Options::default()).unwrap();
            let request_records = RequestRecords {
                version: Name::parse("v1").unwrap(),
                nodes: vec![Name::parse("model").unwrap()],
                store,
                in_flight: Mutex::default(),
            };
            let route = Route {
                workflow: Name::parse("w").unwrap(),
                index: 0,
                sequence: vec![0],
                answer_type: String::new(),
                answer_limit: 0,
            };
            Self {
                request_records: Arc::new(request_records),
                route: Arc::new(route),
                _writer: writer,
                _folder: folder,
            }
        }

        fn begin(&self, id: &str) -> Arc<RequestRecord> {
            self.request_records.begin(&id.into(), &self.route, now(), 7)
        }

        async fn stored(&self) -> Vec<krt_store::Request<'static>> {
            self.request_records.store.flush().await.unwrap();
            let reader = self.request_records.store.reader();
            reader.requests(&RequestFilter::default(), RequestOrder::Latest, 1000).unwrap()
        }
    }

    #[tokio::test]
    async fn a_request_is_in_work_until_its_workflow_ended_and_then_stored() {
        let fixture = Fixture::new();
        let record = fixture.begin("1");
        assert_eq!(fixture.request_records.find("1").unwrap().ending, Ending::InFlight);
        record.replied_early();
        record.end(End::Answered(3));
        let to_stored = fixture.request_records.find("1").unwrap();
        assert_eq!(
            (to_stored.ending, to_stored.answer_bytes, to_stored.hops.len()),
            (Ending::Answered, Some(3), 0)
        );
        assert_eq!(fixture.stored().await, [], "its workflow goes on");

        let later = |nanos| Timestamp(record.start.0 + nanos);
        record.hop(Hop {
            node: 0,
            position: 0,
            posted: Timestamp(record.start.0 - 5),
            handled: HandlerTimes { start: later(10), end: later(30) },
            codec_times: CodecTimes { encode: 1, decode: 2 },
            ending: HopEnding::Returned,
        });
        drop(record);
        assert_eq!(fixture.request_records.in_flight(), []);
        let stored = fixture.stored().await;
        assert_eq!(stored.len(), 1);
        assert_eq!((&*stored[0].id, &*stored[0].version, &*stored[0].workflow), ("1", "v1", "w"));
        assert_eq!(
            (stored[0].early, stored[0].request_bytes, stored[0].elapsed),
            (true, 7, to_stored.elapsed)
        );
        let hop = krt_store::Hop {
            node: "model".into(),
            position: 0,
            posted: -5,
            start: 10,
            end: 30,
            encode: 1,
            decode: 2,
            ending: HopEnding::Returned,
        };
        assert_eq!(stored[0].hops, [hop]);
    }

    #[tokio::test]
    async fn documents_are_named_up_to_a_bound() {
        let fixture = Fixture::new();
        let record = fixture.begin("1");
        let long = Bson::String("x".repeat(MAX_ID));
        record.saved(Saved { node: 0, collection: "c".to_owned(), id: long });
        for number in 0..SAVED + 5 {
            let id = Bson::Int64(number as i64);
            record.saved(Saved { node: 0, collection: "c".to_owned(), id });
        }
        record.end(End::failed(&Failure::Lost));
        drop(record);
        let stored = fixture.stored().await.remove(0);
        assert_eq!((stored.saved.len(), stored.saves), (SAVED, SAVED + 6));
        assert_eq!(stored.saved[1].id, Bson::Int64(1));
        assert_eq!((stored.ending, stored.error), (Ending::Failed, Some(Failure::Lost.to_string().into())));
    }

    /// A request that ends on another thread is always found, in flight or stored. Every second request is looked up
    /// before it ends, the others while they end.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_request_is_missed_on_its_way_to_the_store() {
        const REQUESTS: usize = 400;
        let fixture = &Fixture::new();
        let (begun, ids) = mpsc::sync_channel(0);
        let (looked_up, may_end) = mpsc::sync_channel(0);
        let produce = move || {
            for number in 0..REQUESTS {
                let record = fixture.begin(&number.to_string());
                begun.send(number).unwrap();
                if number.is_multiple_of(2) {
                    may_end.recv().unwrap();
                }
                record.end(End::Left);
            }
        };
        let runtime = tokio::runtime::Handle::current();
        let mut found_in_flight = 0;
        thread::scope(|scope| {
            scope.spawn(produce);
            for number in ids.iter().take(REQUESTS) {
                let id = number.to_string();
                let in_flight = fixture.request_records.find(&id).is_some();
                found_in_flight += usize::from(in_flight);
                if number.is_multiple_of(2) {
                    assert!(in_flight, "{id} has not ended");
                    looked_up.send(()).unwrap();
                }
                let stored = tokio::task::block_in_place(|| runtime.block_on(fixture.stored()));
                assert!(in_flight || stored.iter().any(|request| request.id == id), "{id} is nowhere");
            }
        });
        assert!(found_in_flight >= REQUESTS / 2, "{found_in_flight}");
        assert_eq!(fixture.stored().await.len(), REQUESTS);
    }
}
