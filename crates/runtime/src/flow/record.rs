//! The records of requests: those in flight here, and older ones in the store.

use super::{Route, now};
use bson::{Bson, doc};
use krt_model::{
    hint,
    message::Timestamp,
    name::Name,
    outcome::Failure,
    request::{Cached, Ending, Hop, HopChain, RequestRecord, Saved, StreamedAnswer},
    version::Version,
};
use krt_store::Store;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Limits on what a record names: the number of documents, and the bytes of an `_id` with its BSON frame.
const MAX_SAVED: usize = 32;
const MAX_ID: usize = 1024;

/// The record of a request whose work goes on. It is stored when the request is closed for its client and its work
/// has ended, whichever is later.
#[derive(Debug)]
pub struct OpenRecord {
    id: Arc<str>,
    start: Timestamp,
    state: Mutex<State>,
    /// The list that contains it.
    request_records: Arc<RequestRecords>,
}

#[derive(Debug)]
struct State {
    record: RequestRecord,
    /// The work that may add to it: its workflow, and each document that is being saved.
    working: usize,
}

impl State {
    /// Returns whether nothing adds to it any more.
    fn is_closed(&self) -> bool {
        self.record.ending != Ending::InFlight && self.working == 0
    }
}

/// A document being saved, for which the record of its request waits.
#[derive(Debug)]
pub(crate) struct Saving(Arc<OpenRecord>);

impl Saving {
    /// Records the document.
    pub(crate) fn saved(self, saved: Saved) {
        let record = &mut self.0.lock().record;
        record.saves += 1;
        if record.saved.len() < MAX_SAVED && is_short(&saved.id) {
            record.saved.push(saved);
        }
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        self.0.work_ended();
    }
}

/// Work for a request in other engines, for which its record waits.
#[derive(Debug)]
pub struct WorkElsewhere(Arc<OpenRecord>);

impl WorkElsewhere {
    /// Adds the calls of handlers there.
    pub fn add_hops(&self, hops: &HopChain) {
        self.0.append(hops);
    }
}

impl Drop for WorkElsewhere {
    fn drop(&mut self) {
        self.0.work_ended();
    }
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
    /// Returns the nanoseconds since `start`.
    pub fn since(start: Instant) -> u64 {
        u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
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
        Self::Failed(hint::line(failure))
    }
}

fn is_short(id: &Bson) -> bool {
    doc! { "": id }.to_vec().is_ok_and(|bytes| bytes.len() <= MAX_ID)
}

impl OpenRecord {
    pub(super) fn hop(&self, hop: Hop) {
        self.lock().record.hops.push(hop);
    }

    /// Adds calls of handlers in other engines, sorted by node: those that only the envelope shows come last. Keeps as
    /// many as one message can carry, as anyone with access to the broker can send them.
    pub(super) fn append(&self, chain: &HopChain) {
        let record = &mut self.lock().record;
        let room = HopChain::MAX.saturating_sub(record.hops.len());
        let hops = chain.hops();
        let kept = hops.len().min(room);
        record.hops.extend_from_slice(&hops[..kept]);
        record.hops.sort_by_key(|hop| hop.position);
        let left_out = chain.left_out().saturating_add(hops.len() - kept);
        record.hops_left_out = record.hops_left_out.saturating_add(left_out);
    }

    /// Waits for a document that one of its handlers saves; `None` if the record is closed.
    pub(crate) fn saving(self: Arc<Self>) -> Option<Saving> {
        let mut state = self.lock();
        if state.is_closed() {
            return None;
        }
        state.working += 1;
        drop(state);
        Some(Saving(self))
    }

    /// Waits for work in other engines. Called before the work here ends.
    pub(super) fn work_elsewhere(self: Arc<Self>) -> WorkElsewhere {
        self.lock().working += 1;
        WorkElsewhere(self)
    }

    pub(super) fn cached(&self, cached: Cached) {
        self.lock().record.cached = Some(cached);
    }

    pub(super) fn replied_early(&self) {
        self.lock().record.early = true;
    }

    /// Closes the request for its client. `stream`: what the client has taken of a stream.
    pub(super) fn end(&self, end: End, stream: Option<StreamedAnswer>) {
        let mut state = self.lock();
        let record = &mut state.record;
        record.elapsed = self.elapsed();
        record.stream = stream;
        (record.ending, record.error, record.answer_bytes) = match end {
            End::Answered(bytes) => (Ending::Answered, None, Some(bytes)),
            End::Failed(error) => (Ending::Failed, Some(error), None),
            End::Left => (Ending::Left, None, None),
        };
        self.store_closed(state);
    }

    /// Ends one of the works that may add to it.
    pub(super) fn work_ended(&self) {
        let mut state = self.lock();
        state.working -= 1;
        self.store_closed(state);
    }

    /// Stores the record if it is closed. It is in flight until the store has it, so that it is always found.
    fn store_closed(&self, state: MutexGuard<'_, State>) {
        if !state.is_closed() {
            return;
        }
        self.request_records.store.request(&state.record);
        drop(state);
        self.request_records.lock().remove(&self.id);
    }

    fn elapsed(&self) -> u64 {
        now().0.saturating_sub(self.start.0)
    }

    /// Returns a copy of the record so far.
    fn read(&self) -> RequestRecord {
        let mut record = self.lock().record.clone();
        if record.ending == Ending::InFlight {
            record.elapsed = self.elapsed();
        }
        record
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of the requests received at one ingress: those in flight, and the store for the others.
#[derive(Debug)]
pub struct RequestRecords {
    version: Name,
    store: Store,
    in_flight: Mutex<HashMap<Arc<str>, Arc<OpenRecord>>>,
}

impl RequestRecords {
    pub(super) fn new(version: &Version, store: &Store) -> Self {
        Self { version: version.name.clone(), store: store.clone(), in_flight: Mutex::default() }
    }

    /// Starts the record of a request.
    pub(super) fn open(
        self: &Arc<Self>,
        id: &Arc<str>,
        route: &Route,
        start: Timestamp,
        bytes: usize,
    ) -> Arc<OpenRecord> {
        let since_epoch = i64::try_from(start.0).unwrap_or(i64::MAX);
        let record =
            RequestRecord::new(Arc::clone(id), self.version.clone(), route.workflow.clone(), since_epoch);
        let hops = Vec::with_capacity(route.sequence.len());
        let record = RequestRecord { request_bytes: bytes, hops, ..record };
        let open = Arc::new(OpenRecord {
            id: Arc::clone(id),
            start,
            state: Mutex::new(State { record, working: 1 }),
            request_records: Arc::clone(self),
        });
        self.lock().insert(Arc::clone(id), Arc::clone(&open));
        open
    }

    /// Returns the requests in flight. Ended requests are in the store; flush it before reading. A request that ends
    /// meanwhile may be in both.
    pub fn in_flight(&self) -> Vec<RequestRecord> {
        let open: Vec<_> = self.lock().values().cloned().collect();
        open.iter().map(|open| open.read()).collect()
    }

    /// Returns the request with that id, if it is in flight.
    pub fn find(&self, id: &str) -> Option<RequestRecord> {
        let open = self.lock().get(id).cloned();
        open.map(|open| open.read())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<OpenRecord>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::request::HopEnding;
    use krt_store::{Options, RequestFilter, RequestOrder, Writer};
    use std::{sync::mpsc, thread, time::Duration};
    use tempfile::TempDir;

    fn model() -> Name {
        Name::parse("model").unwrap()
    }

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
            let request_records =
                RequestRecords { version: Name::parse("v1").unwrap(), store, in_flight: Mutex::default() };
            let route = Route {
                workflow: Name::parse("w").unwrap(),
                index: 0,
                sequence: vec![0],
                answer_type: String::new(),
                answer_limit: 0,
                streams: false,
                priority: false,
            };
            Self {
                request_records: Arc::new(request_records),
                route: Arc::new(route),
                _writer: writer,
                _folder: folder,
            }
        }

        fn open(&self, id: &str) -> Arc<OpenRecord> {
            self.request_records.open(&id.into(), &self.route, now(), 7)
        }

        async fn stored(&self) -> Vec<RequestRecord> {
            self.request_records.store.flush().await.unwrap();
            let reader = self.request_records.store.reader();
            reader.requests(&RequestFilter::default(), RequestOrder::Latest, 1000).unwrap()
        }
    }

    #[tokio::test]
    async fn requests_are_in_flight_until_their_workflow_ends() {
        let fixture = Fixture::new();
        let record = fixture.open("1");
        assert_eq!(fixture.request_records.find("1").unwrap().ending, Ending::InFlight);
        record.replied_early();
        record.end(End::Answered(3), None);
        let to_stored = fixture.request_records.find("1").unwrap();
        assert_eq!(
            (to_stored.ending, to_stored.answer_bytes, to_stored.hops.len()),
            (Ending::Answered, Some(3), 0)
        );
        assert_eq!(fixture.stored().await, [], "its workflow goes on");

        let hop = Hop {
            node: model(),
            position: 0,
            posted: -5,
            start: 10,
            end: 30,
            encode: 1,
            decode: 2,
            ending: HopEnding::Returned,
        };
        record.hop(hop.clone());
        record.work_ended();
        assert_eq!(fixture.request_records.in_flight(), []);
        let stored = fixture.stored().await;
        assert_eq!(stored.len(), 1);
        assert_eq!(
            (&*stored[0].id, stored[0].version.as_str(), stored[0].workflow.as_str()),
            ("1", "v1", "w")
        );
        assert_eq!(
            (stored[0].early, stored[0].request_bytes, stored[0].elapsed),
            (true, 7, to_stored.elapsed)
        );
        assert_eq!(stored[0].hops, [hop]);
    }

    #[tokio::test]
    async fn the_number_of_named_documents_is_bounded() {
        let fixture = Fixture::new();
        let record = fixture.open("1");
        let save = |id| {
            let saving = Arc::clone(&record).saving().unwrap();
            saving.saved(Saved { node: model(), collection: "c".to_owned(), id });
        };
        save(Bson::String("x".repeat(MAX_ID)));
        for number in 0..MAX_SAVED + 5 {
            save(Bson::Int64(number as i64));
        }
        record.end(End::failed(&Failure::Lost), None);
        record.work_ended();
        let stored = fixture.stored().await.remove(0);
        assert_eq!((stored.saved.len(), stored.saves), (MAX_SAVED, MAX_SAVED + 6));
        assert_eq!(stored.saved[1].id, Bson::Int64(1));
        assert_eq!((stored.ending, stored.error), (Ending::Failed, Some(Failure::Lost.to_string())));
    }

    #[tokio::test]
    async fn the_time_of_a_request_is_that_since_its_start() {
        const EARLIER: u64 = 3_600_000_000_000;
        let fixture = Fixture::new();
        let start = Timestamp(now().0 - EARLIER);
        let record = fixture.request_records.open(&"1".into(), &fixture.route, start, 7);
        let so_far = fixture.request_records.find("1").unwrap().elapsed;
        assert!(so_far >= EARLIER, "{so_far}");
        record.work_ended();
        record.end(End::Left, None);
        let elapsed = fixture.stored().await.remove(0).elapsed;
        assert!((so_far..2 * EARLIER).contains(&elapsed), "{elapsed}");
    }

    #[test]
    fn codec_times_are_nanoseconds() {
        let begun = Instant::now().checked_sub(Duration::from_millis(3)).unwrap();
        let since = u128::from(CodecTimes::since(begun));
        assert!((3_000_000..=begun.elapsed().as_nanos()).contains(&since), "{since}");
    }

    fn call(position: usize, ending: HopEnding) -> Hop {
        Hop { node: model(), position, posted: 0, start: 1, end: 2, encode: 0, decode: 0, ending }
    }

    fn chain(calls: impl IntoIterator<Item = Hop>) -> HopChain {
        let mut chain = HopChain::default();
        calls.into_iter().for_each(|call| chain.push(call));
        chain
    }

    #[tokio::test]
    async fn calls_in_other_engines_are_sorted_and_bounded() {
        let fixture = Fixture::new();
        let record = fixture.open("1");
        let (died, returned) = (call(1, HopEnding::Died), call(1, HopEnding::Returned));
        let first = call(0, HopEnding::Returned);
        record.append(&chain([died.clone()]));
        record.append(&chain([first.clone(), returned.clone()]));
        let found = fixture.request_records.find("1").unwrap();
        assert_eq!(found.hops, [first, died, returned], "those of a node in the order in which they arrived");
        assert_eq!(found.hops_left_out, 0);
        record.append(&chain(vec![call(2, HopEnding::Died); HopChain::MAX + 4]));
        let found = fixture.request_records.find("1").unwrap();
        assert_eq!((found.hops.len(), found.hops_left_out), (HopChain::MAX, 7));
    }

    #[tokio::test]
    async fn a_record_waits_for_work_in_other_engines() {
        let fixture = Fixture::new();
        let record = fixture.open("1");
        let work = Arc::clone(&record).work_elsewhere();
        record.work_ended();
        record.end(End::failed(&Failure::Lost), None);
        assert_eq!(fixture.stored().await, []);
        work.add_hops(&chain([call(0, HopEnding::Cancelled)]));
        drop(work);
        assert_eq!(fixture.stored().await.remove(0).hops, [call(0, HopEnding::Cancelled)]);
    }

    #[tokio::test]
    async fn a_record_waits_for_a_document_that_is_being_saved() {
        let fixture = Fixture::new();
        let record = fixture.open("1");
        let (saving, abandoned) =
            (Arc::clone(&record).saving().unwrap(), Arc::clone(&record).saving().unwrap());
        record.work_ended();
        record.end(End::Answered(3), None);
        drop(abandoned);
        assert_eq!(fixture.stored().await, []);
        saving.saved(Saved { node: model(), collection: "c".to_owned(), id: Bson::Int64(1) });
        assert_eq!(fixture.stored().await.remove(0).saves, 1);
        assert!(record.saving().is_none(), "a document that is saved later belongs to no record");
    }

    /// A request that ends on another thread is always found, in flight or stored. Every second request is looked up
    /// before it ends, the others while they end.
    #[tokio::test(flavor = "multi_thread")]
    async fn ending_requests_can_always_be_found() {
        const REQUESTS: usize = 400;
        let fixture = &Fixture::new();
        let (to_reader, ids) = mpsc::sync_channel(0);
        let (looked_up, may_end) = mpsc::sync_channel(0);
        let produce = move || {
            for number in 0..REQUESTS {
                let record = fixture.open(&number.to_string());
                to_reader.send(number).unwrap();
                if number.is_multiple_of(2) {
                    may_end.recv().unwrap();
                }
                record.work_ended();
                record.end(End::Left, None);
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
                assert!(in_flight || stored.iter().any(|request| *request.id == *id), "{id} is nowhere");
            }
        });
        assert!(found_in_flight >= REQUESTS / 2, "{found_in_flight}");
        assert_eq!(fixture.stored().await.len(), REQUESTS);
    }
}
