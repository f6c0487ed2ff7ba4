//! The guarantees of the flow, tested with scripted workers.

use super::*;
use crate::traces::Trace;
use krt_model::{
    message::TYPE_URL_PREFIX,
    metadata::Metadata,
    name::Name,
    priority::Priority,
    version::{Batch, Generation, OlderRunner, RunOptions, Runner, Workflow},
};
use krt_store::{RequestFilter, RequestOrder};
use std::sync::{
    Mutex, OnceLock, Weak,
    atomic::{AtomicU64, Ordering},
    mpsc,
};

/// A worker's result for a message; `None`: the worker keeps the message.
type Act = dyn Fn(&Payload) -> Option<HandlerResult> + Send + Sync;

/// A worker that follows a script for each delivery.
struct Scripted {
    flow: Weak<Flow>,
    slot: OnceLock<SlotId>,
    act: Box<Act>,
    kept: Mutex<Vec<Delivery>>,
    cancelled: AtomicU64,
    place: Option<StageIndex>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Worker for Scripted {
    fn place(&self) -> Option<StageIndex> {
        self.place
    }

    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        let flow = self.flow.upgrade().unwrap();
        match (self.act)(&delivery.payload) {
            Some(result) => {
                flow.queue(delivery.node()).freed(*self.slot.get().unwrap());
                flow.finish(delivery, result, HandlerTimes { start: now(), end: now() });
            }
            None => self.kept.lock().unwrap().push(delivery),
        }
        Ok(Accepted::InFlight)
    }

    fn cancel(&self, request: &Request) {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|delivery| !std::ptr::eq(&*delivery.request, request));
        self.cancelled.fetch_add((before - kept.len()) as u64, Ordering::Relaxed);
    }
}

struct Fixture {
    flow: Arc<Flow>,
    route: Arc<Route>,
    store: Store,
    _writer: (tempfile::TempDir, krt_store::Writer),
}

fn fixture(retries: u16, limits: Limits) -> Fixture {
    fixture_with(&RunOptions { retries, ..RunOptions::default() }, limits, vec![0, 1])
}

fn fixture_with(run: &RunOptions, limits: Limits, sequence: Vec<usize>) -> Fixture {
    let name = |text| Name::parse(text).unwrap();
    let node = |text| Node {
        name: name(text),
        src: String::new(),
        language: None,
        build: None,
        image: None,
        gpu: None,
        run: run.clone(),
    };
    let version = Version {
        name: name("v1"),
        description: String::new(),
        proto: String::new(),
        config: Vec::new(),
        environment: Vec::new(),
        metadata: Vec::new(),
        nodes: vec![node("one"), node("two")],
        workflows: vec![Workflow {
            name: name("w"),
            entrypoint: "Run".to_owned(),
            sequence: sequence.clone(),
            priority: false,
            cache: None,
            open_inference: false,
        }],
    };
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = Store::open(folder.path(), &krt_store::Options::default()).unwrap();
    let flow = Arc::new(Flow::new(&version, limits, &store));
    flow.admission().open();
    let route = Arc::new(Route {
        workflow: name("w"),
        index: 0,
        sequence,
        answer_type: "t.M".to_owned(),
        answer_limit: 1024,
        streams: false,
        priority: false,
    });
    Fixture { flow, route, store, _writer: (folder, writer) }
}

impl Fixture {
    fn slot(
        &self,
        node: usize,
        room: usize,
        act: impl Fn(&Payload) -> Option<HandlerResult> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        self.slot_at(None, node, room, act)
    }

    fn slot_at(
        &self,
        place: Option<StageIndex>,
        node: usize,
        room: usize,
        act: impl Fn(&Payload) -> Option<HandlerResult> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        let worker = Arc::new(Scripted {
            flow: Arc::downgrade(&self.flow),
            slot: OnceLock::new(),
            act: Box::new(act),
            kept: Mutex::default(),
            cancelled: AtomicU64::new(0),
            place,
        });
        self.flow.queue(node).join(Arc::clone(&worker) as _, room, &worker.slot);
        worker
    }

    async fn request(&self, timeout: Duration) -> Result<Payload, Failure> {
        let permit = self.flow.admission().enter(10)?;
        let deadline = Deadline::after(timeout);
        let head = RequestHead {
            deadline,
            trace: Trace::default(),
            metadata: Metadata::default(),
            priority: Priority::default(),
        };
        let pending = self.flow.request(permit.into(), &self.route, message(b"in"), head, None);
        let mut messages = pending.whole().await?;
        assert_eq!(messages.len(), 1, "an answer of KRT v1 is one message");
        Ok(messages.remove(0).expect("there is one").payload)
    }
}

fn message(value: &[u8]) -> Payload {
    Payload::pack(&format!("{TYPE_URL_PREFIX}t.M"), value)
}

fn echo(payload: &Payload) -> Option<HandlerResult> {
    Some(HandlerResult::Message { payload: payload.clone(), early_exit: false })
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_message_passes_through_its_nodes() {
    let fixture = fixture(0, Limits::default());
    fixture.slot(0, 1, |_| Some(HandlerResult::Message { payload: message(b"one"), early_exit: false }));
    fixture.slot(1, 1, echo);
    assert_eq!(fixture.request(LONG).await, Ok(message(b"one")));
    assert_eq!(fixture.flow.admission().in_flight(), 0);
}

#[tokio::test]
async fn failed_calls_and_late_answers_are_counted() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    let worker = fixture.slot(0, 1, |_| None);
    let seen = || {
        let recent = fixture.flow.metrics().recent_of_node(0).read(Instant::now(), LONG);
        (recent.count, recent.failed, fixture.flow.metrics().late.get())
    };
    let results = [echo(&message(b"")).unwrap(), HandlerResult::Error("no".to_owned())];
    for (result, expected) in results.into_iter().zip([(1, 0, 0), (2, 1, 0)]) {
        let mut request = Box::pin(fixture.request(LONG));
        assert!(futures::poll!(&mut request).is_pending());
        let delivery = worker.kept.lock().unwrap().pop().unwrap();
        fixture.flow.queue(0).freed(*worker.slot.get().unwrap());
        fixture.flow.finish(delivery, result, HandlerTimes { start: now(), end: now() });
        assert_eq!(seen(), expected);
    }
    let (delivery, _ended) = remote_delivery(&fixture);
    let request = Arc::clone(&delivery.request);
    fixture.flow.reply_from_remote(&request, Ok(Some(message(b""))), &HopChain::default());
    assert_eq!(seen().2, 0);
    fixture.flow.reply_from_remote(&request, Ok(Some(message(b""))), &HopChain::default());
    assert_eq!(seen().2, 1);
    fixture.flow.lost_in_background("w", "one", "1", &Failure::Lost);
    assert_eq!(fixture.flow.metrics().failed_in_background.get(), 1);
}

#[tokio::test]
async fn a_record_has_the_sizes_of_a_stream() {
    let mut fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    Arc::get_mut(&mut fixture.route).unwrap().streams = true;
    let worker = fixture.slot(0, 1, |_| None);
    let mut permit = fixture.flow.admission().enter(10).unwrap();
    permit.record_size(12);
    let head = RequestHead {
        deadline: Deadline::after(LONG),
        trace: Trace::default(),
        metadata: Metadata::default(),
        priority: Priority::default(),
    };
    let pending = fixture.flow.request(permit.into(), &fixture.route, message(b"in"), head, None);
    let open = fixture.flow.request_records().in_flight();
    assert_eq!((open.len(), open[0].request_bytes), (1, 12));
    let mut stream = pending.stream(&fixture.flow);
    let delivery = worker.kept.lock().unwrap().pop().unwrap();
    for value in [&b"12345"[..], b"123"] {
        fixture.flow.send(&delivery.request, message(value).into());
        assert!(stream.next().await.unwrap().is_some());
    }
    let nothing = HandlerResult::Nothing { early_exit: false };
    fixture.flow.finish(delivery, nothing, HandlerTimes { start: now(), end: now() });
    assert!(stream.next().await.unwrap().is_none());
    let store = &fixture.store;
    store.flush().await.unwrap();
    let stored =
        store.reader().requests(&RequestFilter::default(), RequestOrder::Latest, 9).unwrap().remove(0);
    assert_eq!((stored.answer_bytes, stored.stream.unwrap().messages), (Some(8), 2));
}

#[tokio::test]
async fn requests_without_workers_fail_at_once() {
    let fixture = fixture(0, Limits::default());
    fixture.slot(0, 1, echo);
    let failure = fixture.request(LONG).await.unwrap_err();
    assert_eq!(failure, Failure::Down { node: Name::parse("two").unwrap() });
}

#[tokio::test]
async fn a_node_with_retries_waits_for_a_worker() {
    let fixture = fixture(1, Limits::default());
    fixture.slot(0, 1, echo);
    let late = async {
        while fixture.flow.queue(1).depth() == 0 {
            tokio::task::yield_now().await;
        }
        fixture.slot(1, 1, echo);
    };
    let (answer, ()) = tokio::join!(fixture.request(LONG), late);
    assert_eq!(answer, Ok(message(b"in")));
}

#[tokio::test]
async fn deaths_are_retried_up_to_the_limit_of_the_node() {
    for (retries, answered) in [(0, false), (1, false), (2, true)] {
        let fixture = fixture(retries, Limits::default());
        let deaths = AtomicU64::new(0);
        fixture.slot(0, 1, move |payload| match deaths.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Some(HandlerResult::Died("killed".to_owned())),
            _ => echo(payload),
        });
        fixture.slot(1, 1, echo);
        assert_eq!(fixture.request(LONG).await.is_ok(), answered, "{retries} retries");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_cancels_the_handler() {
    let fixture = fixture(0, Limits::default());
    let worker = fixture.slot(0, 1, |_| None);
    let failure = fixture.request(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(failure, Failure::Deadline { .. }), "{failure:?}");
    assert_eq!(worker.cancelled.load(Ordering::Relaxed), 1);
    assert_eq!(fixture.flow.admission().in_flight(), 0);
}

#[tokio::test]
async fn queued_requests_are_dropped_with_their_client() {
    let fixture = fixture(0, Limits::default());
    fixture.slot(0, 1, |_| None);
    let (mut first, mut second) = (Box::pin(fixture.request(LONG)), Box::pin(fixture.request(LONG)));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(fixture.flow.queue(0).depth(), 1);
    drop(second);
    assert_eq!((fixture.flow.queue(0).depth(), fixture.flow.admission().in_flight()), (0, 1));
}

#[tokio::test]
async fn a_full_ingress_refuses_requests() {
    let limits = Limits { requests: 1, bytes: 1 << 20 };
    let fixture = fixture(0, limits);
    fixture.slot(0, 1, |_| None);
    let mut first = Box::pin(fixture.request(LONG));
    assert!(futures::poll!(&mut first).is_pending());
    let refused = fixture.request(LONG).await.unwrap_err();
    assert_eq!(refused, Failure::QueueFull { limit: 1, unit: "requests" });
    drop(first);
    assert_eq!(fixture.flow.admission().in_flight(), 0);
}

#[tokio::test]
async fn a_drain_waits_for_the_last_request() {
    let admission = Arc::new(Admission::new(Limits::default()));
    admission.open();
    let (first, second) = (admission.enter(0).unwrap(), admission.enter(0).unwrap());
    admission.close();
    let stopping = Failure::NotServing { state: "stopping" };
    assert_eq!(admission.enter(0).unwrap_err(), stopping);
    let drained = Arc::clone(&admission);
    let drained = tokio::spawn(async move { drained.drained().await });
    tokio::task::yield_now().await;
    drop(first);
    tokio::task::yield_now().await;
    assert!(!drained.is_finished(), "a request is in flight");
    drop(second);
    drained.await.unwrap();
}

#[test]
fn two_admissions_share_one_memory_limit() {
    let limits = Limits { requests: 2, bytes: 100 };
    let one = Arc::new(Admission::new(limits));
    let other = Arc::new(Admission::sharing(limits, Arc::clone(one.memory())));
    one.open();
    other.open();
    let mut held = one.enter(0).unwrap();
    held.hold(60).unwrap();
    assert_eq!(other.enter(41).unwrap_err(), Failure::NoMemory { limit: 100 });
    assert_eq!(other.enter(40).unwrap().hold(41).unwrap_err(), Failure::NoMemory { limit: 100 });
    drop(held);
    other.enter(0).unwrap().hold(100).unwrap();
    assert_eq!(one.memory().used(), 0);
}

#[tokio::test]
async fn lost_deliveries_are_reported() {
    let fixture = fixture(0, Limits::default());
    let worker = fixture.slot(0, 1, |_| None);
    let mut request = Box::pin(fixture.request(LONG));
    assert!(futures::poll!(&mut request).is_pending());
    worker.kept.lock().unwrap().clear();
    assert_eq!(request.await, Err(Failure::Lost));
}

#[tokio::test]
async fn the_first_answer_wins() {
    let fixture = fixture(0, Limits::default());
    let worker = fixture.slot(0, 1, |_| None);
    fixture.slot(1, 1, |_| Some(HandlerResult::Message { payload: message(b"late"), early_exit: false }));
    let mut request = Box::pin(fixture.request(LONG));
    assert!(futures::poll!(&mut request).is_pending());
    let delivery = worker.kept.lock().unwrap().pop().unwrap();
    assert!(fixture.flow.reply_early(&delivery, Ok(message(b"early"))));
    assert!(!fixture.flow.reply_early(&delivery, Ok(message(b"second"))));
    fixture.flow.finish(delivery, echo(&message(b"x")).unwrap(), HandlerTimes { start: now(), end: now() });
    assert_eq!(request.await, Ok(message(b"early")));
}

#[tokio::test]
async fn workers_get_only_messages_of_their_position() {
    let older = OlderRunner { generation: Generation::Core, measures: true };
    let run = RunOptions { runner: Runner::Older(older), ..RunOptions::default() };
    let fixture = fixture_with(&run, Limits::default(), vec![0, 1, 0]);
    let answers = |value: &'static [u8]| {
        move |_: &Payload| Some(HandlerResult::Message { payload: message(value), early_exit: false })
    };
    let queue = fixture.flow.queue(0);
    assert_eq!((queue.places(), queue.workers()), (&[(0, 0), (0, 2)][..], 0));
    let (began, calls) = (Arc::new(AtomicU64::new(0)), answers(b"first"));
    let begins = Arc::clone(&began);
    fixture.slot_at(Some((0, 0)), 0, 1, move |payload| {
        begins.fetch_add(1, Ordering::Relaxed);
        calls(payload)
    });
    fixture.slot_at(Some((0, 1)), 1, 1, answers(b"second"));
    // One of its two places has no worker.
    assert!(!fixture.flow.serves(0) && fixture.flow.serves(1));
    assert_eq!(fixture.request(LONG).await, Err(Failure::Down { node: Name::parse("one").unwrap() }));
    let last = fixture.slot_at(Some((0, 2)), 0, 1, |_| None);
    assert!(fixture.flow.serves(0));
    let (mut one, mut two) = (Box::pin(fixture.request(LONG)), Box::pin(fixture.request(LONG)));
    assert!(futures::poll!(&mut one).is_pending());
    // A delivery waiting for the last place blocks none at the first.
    assert!(futures::poll!(&mut two).is_pending());
    assert_eq!(queue.depth(), 1);
    let mut three = Box::pin(fixture.request(LONG));
    assert!(futures::poll!(&mut three).is_pending());
    assert_eq!((queue.depth(), began.load(Ordering::Relaxed)), (2, 4), "both wait for the last place");
    let end = |delivery: Delivery| {
        assert_eq!(delivery.position, 2);
        let result = answers(b"last")(&message(b"")).unwrap();
        fixture.flow.finish(delivery, result, HandlerTimes { start: now(), end: now() });
    };
    let slot = *last.slot.get().unwrap();
    for request in [one, two, three] {
        end(last.kept.lock().unwrap().pop().unwrap());
        queue.freed(slot);
        assert_eq!(request.await, Ok(message(b"last")));
    }
}

/// A worker that takes no delivery into flight: it has gone, or answers without work.
#[derive(Debug)]
struct Unavailable {
    gone: bool,
    asked: AtomicU64,
    flow: Weak<Flow>,
}

impl Worker for Unavailable {
    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.gone {
            return Err(delivery);
        }
        let flow = self.flow.upgrade().unwrap();
        flow.finish(
            delivery,
            HandlerResult::Error("no".to_owned()),
            HandlerTimes { start: now(), end: now() },
        );
        Ok(Accepted::Done)
    }

    fn cancel(&self, _request: &Request) {}
}

impl Fixture {
    fn never(&self, gone: bool, room: usize) -> (Arc<Unavailable>, OnceLock<SlotId>) {
        let worker =
            Arc::new(Unavailable { gone, asked: AtomicU64::new(0), flow: Arc::downgrade(&self.flow) });
        let slot = OnceLock::new();
        self.flow.queue(0).join(Arc::clone(&worker) as _, room, &slot);
        (worker, slot)
    }

    /// Answers the oldest delivery that a worker keeps.
    fn answer(&self, worker: &Scripted) {
        let delivery = worker.kept.lock().unwrap().remove(0);
        self.flow.queue(delivery.node()).freed(*worker.slot.get().unwrap());
        let result = echo(&delivery.payload).unwrap();
        self.flow.finish(delivery, result, HandlerTimes { start: now(), end: now() });
    }
}

fn kept(worker: &Scripted) -> usize {
    worker.kept.lock().unwrap().len()
}

#[tokio::test]
async fn a_delivery_goes_to_the_worker_with_the_most_free_slots() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    let (small, large) = (fixture.slot(0, 1, |_| None), fixture.slot(0, 3, |_| None));
    let mut requests: Vec<_> = (0..5).map(|_| Box::pin(fixture.request(LONG))).collect();
    let mut seen = Vec::new();
    for request in &mut requests {
        assert!(futures::poll!(request).is_pending());
        seen.push((kept(&small), kept(&large), fixture.flow.queue(0).depth()));
    }
    assert_eq!(seen[..2], [(0, 1, 0), (0, 2, 0)]);
    assert_eq!(seen[3..], [(1, 3, 0), (1, 3, 1)]);
    // Room that is freed is filled from the queue, oldest first.
    fixture.answer(&large);
    assert_eq!((kept(&small), kept(&large), fixture.flow.queue(0).depth()), (1, 3, 0));
    let sixth = Box::pin(fixture.request(LONG));
    requests.push(sixth);
    assert!(futures::poll!(requests.last_mut().unwrap()).is_pending());
    assert_eq!(fixture.flow.queue(0).depth(), 1);
}

#[tokio::test]
async fn removed_workers_get_nothing_and_free_no_slots() {
    let fixture =
        fixture_with(&RunOptions { retries: 1, ..RunOptions::default() }, Limits::default(), vec![0]);
    let worker = fixture.slot(0, 1, |_| None);
    let mut first = Box::pin(fixture.request(LONG));
    assert!(futures::poll!(&mut first).is_pending());
    let slot = *worker.slot.get().unwrap();
    let other = fixture.slot(0, 1, |_| None);
    assert_eq!(fixture.flow.queue(0).leave(slot), 1);
    let mut rest: Vec<_> = (0..2).map(|_| Box::pin(fixture.request(LONG))).collect();
    for request in &mut rest {
        assert!(futures::poll!(request).is_pending());
    }
    fixture.answer(&worker);
    assert_eq!(first.await, Ok(message(b"in")));
    assert_eq!((kept(&worker), kept(&other), fixture.flow.queue(0).depth()), (0, 1, 1));
    assert_eq!(fixture.flow.queue(0).leave(*other.slot.get().unwrap()), 0);
    assert_eq!((fixture.flow.queue(0).workers(), fixture.flow.queue(0).takes()), (0, true));
}

#[tokio::test]
async fn returned_deliveries_go_to_another_worker() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    let (gone, slot) = fixture.never(true, 2);
    fixture.slot(0, 1, echo);
    assert_eq!(fixture.request(LONG).await, Ok(message(b"in")));
    assert!(gone.asked.load(Ordering::Relaxed) > 0);
    fixture.flow.queue(0).leave(*slot.get().unwrap());
    assert_eq!(fixture.request(LONG).await, Ok(message(b"in")));
}

#[tokio::test]
async fn deliveries_without_work_take_no_slot() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    let (worker, _slot) = fixture.never(false, 1);
    for asked in 1..=3 {
        assert!(matches!(fixture.request(LONG).await, Err(Failure::Handler { .. })));
        assert_eq!((worker.asked.load(Ordering::Relaxed), fixture.flow.queue(0).depth()), (asked, 0));
    }
}

#[tokio::test]
async fn losing_the_last_worker_fails_queued_requests() {
    for (retries, depth) in [(0, 0), (1, 1)] {
        let run = RunOptions { retries, ..RunOptions::default() };
        let fixture = fixture_with(&run, Limits::default(), vec![0]);
        let worker = fixture.slot(0, 1, |_| None);
        let (mut first, mut second) = (Box::pin(fixture.request(LONG)), Box::pin(fixture.request(LONG)));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        fixture.flow.clear(0);
        assert_eq!(fixture.flow.queue(0).depth(), 1, "a worker is up");
        assert!(fixture.flow.queue(0).takes());
        fixture.flow.queue(0).leave(*worker.slot.get().unwrap());
        assert_eq!(fixture.flow.queue(0).takes(), retries > 0);
        fixture.flow.clear(0);
        assert_eq!(fixture.flow.queue(0).depth(), depth);
        let down = Failure::Down { node: Name::parse("one").unwrap() };
        assert_eq!(
            futures::poll!(&mut second),
            if retries == 0 { std::task::Poll::Ready(Err(down)) } else { std::task::Poll::Pending }
        );
    }
}

/// Passes on how its message is marked.
#[derive(Debug)]
struct AckRecorder {
    marks: mpsc::Sender<&'static str>,
    is_redelivered: bool,
}

impl Acknowledge for AckRecorder {
    fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }

    fn redeliveries_left(&self) -> u16 {
        1
    }

    fn ack(self: Box<Self>) {
        self.marks.send("ack").unwrap();
    }

    fn nak(self: Box<Self>) {
        self.marks.send("nak").unwrap();
    }

    fn dead_letter(self: Box<Self>, _: &str) {
        self.marks.send("dead").unwrap();
    }
}

impl Drop for AckRecorder {
    fn drop(&mut self) {
        self.marks.send("dropped").unwrap();
    }
}

/// Passes on how an answer ends.
#[derive(Debug)]
struct EndRecorder(mpsc::Sender<Result<(), Failure>>);

impl ReplySink for EndRecorder {
    fn message(&self, _: AnswerMessage) {}

    fn end(&self, status: Result<(), Failure>, meta: AnswerMeta) -> bool {
        meta.ack();
        self.0.send(status).is_ok()
    }
}

/// A delivery of a request from elsewhere, and the end of its answer.
fn remote_delivery(fixture: &Fixture) -> (Delivery, mpsc::Receiver<Result<(), Failure>>) {
    let (ends, ended) = mpsc::channel();
    (delivery_to(fixture, Box::new(EndRecorder(ends))), ended)
}

/// A delivery of a request from elsewhere, without a deadline.
fn delivery_to(fixture: &Fixture, reply: Box<dyn ReplySink>) -> Delivery {
    delivery_by(fixture, reply, None)
}

fn delivery_by(fixture: &Fixture, reply: Box<dyn ReplySink>, deadline: Option<Deadline>) -> Delivery {
    let from = RemoteRequest {
        id: None,
        start: now(),
        deadline,
        trace: Trace::default(),
        metadata: Metadata::default(),
        priority: Priority::default(),
        reply,
        hops: HopChain::default(),
        replied: false,
    };
    let permit = fixture.flow.admission().enter(0).unwrap();
    let request = Request::remote(from, Arc::clone(&fixture.route), permit);
    Delivery::new(request, 0, message(b"in"), Vec::new())
}

/// The first close of a delivery decides about its message and its client.
#[tokio::test]
async fn a_delivery_is_closed_once() {
    let fixture = fixture(0, Limits::default());
    type Close = fn(Delivery);
    let rows: [(&str, Close, bool, Option<&str>, bool); 7] = [
        ("done", |delivery| delivery.close(DeliveryEnd::Done), true, Some("ack"), false),
        ("untouched", |delivery| delivery.close(DeliveryEnd::Untouched), true, Some("nak"), false),
        (
            "lost, with a broker that keeps it",
            |delivery| delivery.close(DeliveryEnd::Lost),
            true,
            None,
            false,
        ),
        ("lost, without", |delivery| delivery.close(DeliveryEnd::Lost), false, None, true),
        ("dropped", drop, false, None, true),
        (
            "dropped after its client left",
            |delivery| {
                delivery.request.leave();
                drop(delivery);
            },
            true,
            Some("ack"),
            false,
        ),
        (
            "handed on",
            |delivery| {
                if let Some(acker) = delivery.into_acker() {
                    acker.nak();
                }
            },
            true,
            Some("nak"),
            false,
        ),
    ];
    for (name, close, kept, mark, answered) in rows {
        let (marks, marked) = mpsc::channel();
        let (mut delivery, ended) = remote_delivery(&fixture);
        delivery.acker = kept.then(|| -> Acker { Box::new(AckRecorder { marks, is_redelivered: false }) });
        close(delivery);
        let expected: Vec<_> = mark.into_iter().chain(kept.then_some("dropped")).collect();
        assert_eq!(marked.try_iter().collect::<Vec<_>>(), expected, "{name}");
        let failed = answered.then_some(Err(Failure::Lost));
        assert_eq!(ended.try_iter().collect::<Vec<_>>(), Vec::from_iter(failed), "{name}");
    }
    assert_eq!(fixture.flow.admission().in_flight(), 0);
}

/// Without a worker, the halves of a failed batch return to a broker that keeps them.
#[tokio::test]
async fn halves_return_to_the_broker_if_no_worker_comes_back() {
    for retries in [0, 1] {
        let run =
            RunOptions { retries, batch: Some(Batch { max: 4, isolate: true }), ..RunOptions::default() };
        let fixture = fixture_with(&run, Limits::default(), vec![0]);
        let (marks, marked) = mpsc::channel();
        let (batch, ended): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let (mut delivery, ended) = remote_delivery(&fixture);
                delivery.acker = Some(Box::new(AckRecorder { marks: marks.clone(), is_redelivered: false }));
                delivery.tracking = vec![Tracking { node: None, start: now(), end: now() }];
                (delivery, ended)
            })
            .unzip();
        let died = HandlerResult::Error("its process died".to_owned());
        fixture.flow.split(0, batch, &died, HandlerTimes { start: now(), end: now() });
        assert_eq!(fixture.flow.queue(0).depth(), 3);
        fixture.flow.clear_parts(0);
        assert_eq!(fixture.flow.queue(0).depth(), 0);
        assert_eq!(marked.try_iter().collect::<Vec<_>>(), ["dropped"; 3]);
        assert!(ended.iter().all(|ended| ended.try_recv().is_err()), "the next delivery is answered");
    }
}

/// Halves that no broker keeps fail, unless the node's messages wait for a worker.
#[tokio::test]
async fn halves_without_a_broker_wait_or_fail() {
    for (retries, depth) in [(0, 0), (1, 2)] {
        let run =
            RunOptions { retries, batch: Some(Batch { max: 4, isolate: true }), ..RunOptions::default() };
        let fixture = fixture_with(&run, Limits::default(), vec![0]);
        let (batch, ended): (Vec<_>, Vec<_>) = (0..2).map(|_| remote_delivery(&fixture)).unzip();
        let died = HandlerResult::Error("its process died".to_owned());
        fixture.flow.split(0, batch, &died, HandlerTimes { start: now(), end: now() });
        fixture.flow.clear_parts(0);
        assert_eq!(fixture.flow.queue(0).depth(), depth);
        let failed = ended.iter().filter(|ended| ended.try_recv().is_ok()).count();
        assert_eq!(failed, 2 - depth);
    }
}

/// A redelivered message may have been confirmed, so its failure keeps it as a dead letter.
#[test]
fn failures_of_redelivered_messages_are_answered_and_kept() {
    let fixture = fixture(0, Limits::default());
    for (is_redelivered, mark) in [(false, "ack"), (true, "dead")] {
        let (marks, marked) = mpsc::channel();
        let (mut delivery, ended) = remote_delivery(&fixture);
        delivery.acker = Some(Box::new(AckRecorder { marks, is_redelivered }));
        fixture.flow.fail(delivery, Failure::Lost);
        assert_eq!(marked.try_iter().collect::<Vec<_>>(), [mark, "dropped"]);
        assert_eq!(ended.try_iter().collect::<Vec<_>>(), [Err(Failure::Lost)]);
    }
    assert_eq!(fixture.flow.admission().in_flight(), 0);
}

/// Waiting deliveries that a broker keeps go back to it, for other engines; the others stay.
#[tokio::test]
async fn only_what_a_broker_keeps_is_returned() {
    let run = RunOptions { retries: 1, ..RunOptions::default() };
    let fixture = fixture_with(&run, Limits::default(), vec![0]);
    let (marks, marked) = mpsc::channel();
    let mut ends = Vec::new();
    for kept in [true, false] {
        let (mut delivery, ended) = remote_delivery(&fixture);
        let acker = AckRecorder { marks: marks.clone(), is_redelivered: false };
        delivery.acker = kept.then(|| -> Acker { Box::new(acker) });
        fixture.flow.receive(delivery);
        ends.push(ended);
    }
    // What the second one does not use.
    assert_eq!(marked.try_iter().collect::<Vec<_>>(), ["dropped"]);
    fixture.flow.return_waiting(0);
    assert_eq!(marked.try_iter().collect::<Vec<_>>(), ["nak", "dropped"]);
    assert_eq!(fixture.flow.queue(0).depth(), 1);
    assert!(ends.iter().all(|ended| ended.try_recv().is_err()));
}

/// Passes on the stages that go with an answer.
#[derive(Debug)]
struct StageRecorder(mpsc::Sender<Vec<Tracking>>);

impl ReplySink for StageRecorder {
    fn message(&self, _: AnswerMessage) {}

    fn end(&self, _: Result<(), Failure>, meta: AnswerMeta) -> bool {
        self.0.send(meta.tracking).is_ok()
    }
}

#[tokio::test]
async fn an_answer_to_another_ingress_has_the_stages_before_it() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    let times = HandlerTimes { start: now(), end: now() };
    type Answers = fn(&Flow, Delivery, HandlerTimes);
    let rows: [(&str, bool, Answers, usize); 5] = [
        (
            "the answer after a death",
            false,
            |flow, mut delivery, times| {
                delivery.retries_left = 1;
                flow.finish(delivery, HandlerResult::Died("killed".to_owned()), times);
            },
            2,
        ),
        (
            "the answer",
            false,
            |flow, delivery, times| flow.finish(delivery, echo(&message(b"")).unwrap(), times),
            2,
        ),
        ("an early reply", false, |flow, delivery, _| _ = flow.reply_early(&delivery, Ok(message(b""))), 1),
        ("a failure", false, |flow, delivery, _| flow.fail(delivery, Failure::Lost), 1),
        ("of a redelivered message", true, |flow, delivery, _| flow.fail(delivery, Failure::Lost), 1),
    ];
    for (name, is_redelivered, answer, stages) in rows {
        let (passed, received) = mpsc::channel();
        let (marks, _marked) = mpsc::channel();
        let mut delivery = delivery_to(&fixture, Box::new(StageRecorder(passed)));
        delivery.acker = Some(Box::new(AckRecorder { marks, is_redelivered }));
        delivery.tracking = vec![Tracking { node: None, start: now(), end: now() }];
        fixture.slot(0, 9, echo);
        answer(&fixture.flow, delivery, times);
        assert_eq!(received.try_recv().unwrap().len(), stages, "{name}");
    }
}

/// Passes on the calls of handlers that go with an answer.
#[derive(Debug)]
struct HopRecorder(mpsc::Sender<HopChain>);

impl ReplySink for HopRecorder {
    fn message(&self, _: AnswerMessage) {}

    fn end(&self, _: Result<(), Failure>, meta: AnswerMeta) -> bool {
        self.0.send(meta.hops).is_ok()
    }
}

#[tokio::test]
async fn an_answer_to_another_ingress_has_the_calls_before_it() {
    use krt_model::request::{Hop, HopEnding};
    let fixture = fixture(0, Limits::default());
    fixture.slot(0, 1, echo);
    fixture.slot(1, 1, |_| Some(HandlerResult::Error("no".to_owned())));
    let node = Name::parse("zero").unwrap();
    let ending = HopEnding::Returned;
    let earlier = Hop { node, position: 0, posted: 0, start: 1, end: 2, encode: 3, decode: 4, ending };
    let mut hops = HopChain::default();
    hops.push(earlier.clone());
    let (passed, received) = mpsc::channel();
    let start = now();
    let from = RemoteRequest {
        id: None,
        start,
        deadline: None,
        trace: Trace::default(),
        metadata: Metadata::default(),
        priority: Priority::default(),
        reply: Box::new(HopRecorder(passed)),
        hops,
        replied: false,
    };
    let request =
        Request::remote(from, Arc::clone(&fixture.route), fixture.flow.admission().enter(0).unwrap());
    let tracking = vec![Tracking { node: None, start, end: start }];
    fixture.flow.receive(Delivery::new(request, 0, message(b"in"), tracking));
    let hops = received.try_recv().unwrap();
    let calls: Vec<_> = hops.hops().iter().map(|hop| (hop.node.as_str(), hop.ending)).collect();
    let here = [("one", HopEnding::Returned), ("two", HopEnding::Raised)];
    assert_eq!(calls, [&[("zero", HopEnding::Returned)][..], &here].concat());
    assert_eq!(hops.hops()[0], earlier);
}

/// A worker that keeps the batches it gets, or has gone.
#[derive(Debug, Default)]
struct Keeper {
    gone: bool,
    batches: Mutex<Vec<Vec<Delivery>>>,
}

impl Worker for Keeper {
    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        unreachable!("a node with batches got one message: {delivery:?}")
    }

    fn deliver_batch(&self, batch: Vec<Delivery>) -> Result<Accepted, Vec<Delivery>> {
        if self.gone {
            return Err(batch);
        }
        self.batches.lock().unwrap().push(batch);
        Ok(Accepted::InFlight)
    }

    fn cancel(&self, _request: &Request) {}
}

impl Keeper {
    /// Drops the batches, and returns their sizes.
    fn take(&self) -> Vec<usize> {
        self.batches.lock().unwrap().drain(..).map(|batch| batch.len()).collect()
    }
}

/// A node with batches of up to four. Its batches take 100 ms and 10 ms for each message, and the clients of a batch
/// send their next messages at once.
struct Batched(Fixture);

impl Batched {
    fn new() -> Self {
        let batch = Some(Batch { max: 4, isolate: true });
        let run = RunOptions { retries: 1, batch, ..RunOptions::default() };
        let batched = Self(fixture_with(&run, Limits::default(), vec![0]));
        let queue = batched.queue();
        assert!(!queue.batches().unwrap().is_known());
        for size in [1, 4] {
            queue.learn(size, Duration::from_millis(100 + 10 * u64::from(size)));
        }
        assert_eq!(queue.batches().unwrap().mean(4).as_millis(), 140);
        for _ in 0..10 {
            queue.answered(4);
            (0..4).for_each(|_| batched.post(None));
        }
        batched.empty();
        batched
    }

    fn queue(&self) -> &NodeQueue {
        self.0.flow.queue(0)
    }

    /// Posts a delivery that a broker keeps.
    fn post(&self, within: Option<Duration>) {
        let (ends, _) = mpsc::channel();
        let (marks, _) = mpsc::channel();
        let deadline = within.map(Deadline::after);
        let mut delivery = delivery_by(&self.0, Box::new(EndRecorder(ends)), deadline);
        delivery.acker = Some(Box::new(Silent(marks)));
        self.queue().post(delivery).unwrap();
    }

    fn empty(&self) {
        self.0.flow.return_waiting(0);
        assert_eq!(self.queue().depth(), 0);
    }

    fn join(&self, gone: bool) -> (Arc<Keeper>, SlotId) {
        let (worker, slot) = (Arc::new(Keeper { gone, ..Keeper::default() }), OnceLock::new());
        self.queue().join(Arc::clone(&worker) as _, 1, &slot);
        (worker, *slot.get().unwrap())
    }
}

/// A message of a broker whose marks nobody reads.
#[derive(Debug)]
struct Silent(#[expect(dead_code, reason = "it ends with the message")] mpsc::Sender<()>);

impl Acknowledge for Silent {
    fn is_redelivered(&self) -> bool {
        false
    }

    fn redeliveries_left(&self) -> u16 {
        0
    }

    fn ack(self: Box<Self>) {}

    fn nak(self: Box<Self>) {}

    fn dead_letter(self: Box<Self>, _: &str) {}
}

#[tokio::test(start_paused = true)]
async fn a_worker_pauses_for_clients_that_return() {
    let batched = Batched::new();
    let (worker, slot) = batched.join(false);
    batched.post(None);
    assert_eq!(worker.take(), [1]);
    assert!(batched.queue().batch_ended(slot, 4).is_some());
    // Of the next batch, three do not fill it.
    (0..3).for_each(|_| batched.post(None));
    assert_eq!((worker.take(), batched.queue().depth()), (vec![], 3));
    batched.post(None);
    assert_eq!((worker.take(), batched.queue().depth()), (vec![4], 0));

    assert!(batched.queue().batch_ended(slot, 4).is_some());
    batched.post(None);
    batched.queue().paused(slot);
    assert_eq!(worker.take(), [1], "the pause is over");
    assert!(batched.queue().batch_ended(slot, 4).is_some());
    batched.post(Some(Duration::from_millis(120)));
    assert_eq!(worker.take(), [1], "it cannot wait");
}

#[tokio::test(start_paused = true)]
async fn a_worker_pauses_only_if_that_helps() {
    type Setup = fn(&Batched, SlotId);
    let rows: [(&str, Setup); 5] = [
        ("a batch waits", |batched, _| (0..4).for_each(|_| batched.post(None))),
        ("a message cannot wait", |batched, _| batched.post(Some(Duration::from_millis(120)))),
        ("the handler is fast", |batched, _| {
            for size in [1, 4].repeat(100) {
                batched.queue().learn(size, Duration::from_micros(10));
            }
        }),
        ("the clients do not return", |batched, _| (0..10).for_each(|_| batched.queue().answered(4))),
        ("the worker has gone", |batched, slot| _ = batched.queue().leave(slot)),
    ];
    for (name, setup) in rows {
        let batched = Batched::new();
        let (worker, slot) = batched.join(false);
        batched.post(None);
        assert_eq!(worker.take(), [1]);
        setup(&batched, slot);
        assert_eq!(batched.queue().batch_ended(slot, 4), None, "{name}");
    }
}

/// The deadline of a message no longer counts once its client has an answer.
#[tokio::test(start_paused = true)]
async fn a_message_with_an_early_reply_can_wait() {
    let batched = Batched::new();
    let (worker, slot) = batched.join(false);
    batched.post(None);
    assert_eq!(worker.take(), [1]);
    let (ends, _ended) = mpsc::channel();
    let deadline = Some(Deadline::after(Duration::from_millis(120)));
    let delivery = delivery_by(&batched.0, Box::new(EndRecorder(ends)), deadline);
    batched.0.flow.reply_early(&delivery, Ok(message(b"early")));
    batched.queue().post(delivery).unwrap();
    assert!(batched.queue().batch_ended(slot, 3).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_with_its_worker_only() {
    let batched = Batched::new();
    let ((one, first), (other, second)) = (batched.join(false), batched.join(false));
    (0..2).for_each(|_| batched.post(None));
    assert_eq!((one.take().len(), other.take().len()), (1, 1));
    for slot in [first, second] {
        assert!(batched.queue().batch_ended(slot, 4).is_some());
    }
    batched.queue().leave(first);
    batched.post(None);
    batched.queue().paused(second);
    assert_eq!((one.take(), other.take()), (vec![], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_worker_has_gone_goes_to_another() {
    let batched = Batched::new();
    (0..3).for_each(|_| batched.post(None));
    let (gone, _) = batched.join(true);
    assert_eq!((gone.take(), batched.queue().depth()), (vec![], 3));
    let (worker, _) = batched.join(false);
    assert_eq!((worker.take(), batched.queue().depth()), (vec![3], 0));
}

/// A handler that has ended reports when it began; of one that has not, the engine knows when it gave it the message.
#[tokio::test]
async fn a_call_begins_when_its_handler_says() {
    let fixture = fixture_with(&RunOptions::default(), Limits::default(), vec![0]);
    for (handled, expected) in [((10, 20), 10), ((20, 20), 5)] {
        let (passed, received) = mpsc::channel();
        let mut delivery = delivery_to(&fixture, Box::new(HopRecorder(passed)));
        let at = |nanos: u64| Timestamp(delivery.request.start.0 + nanos);
        let (called, handled) = (at(5), HandlerTimes { start: at(handled.0), end: at(handled.1) });
        delivery.called = Some(called);
        fixture.flow.finish(delivery, HandlerResult::Error("no".to_owned()), handled);
        let hops = received.try_recv().unwrap();
        assert_eq!((hops.hops()[0].start, hops.hops()[0].end), (expected, 20));
    }
}

/// Some processes of older runners measure their own times; the engine does not add its own.
#[tokio::test]
async fn times_are_measured_once() {
    for measures in [false, true] {
        let older = OlderRunner { generation: Generation::Core, measures };
        let run = RunOptions { runner: Runner::Older(older), ..RunOptions::default() };
        let fixture = fixture_with(&run, Limits::default(), vec![0]);
        fixture.slot(0, 1, echo);
        assert_eq!(fixture.request(LONG).await, Ok(message(b"in")));
        fixture.store.flush().await.unwrap();
        let measured = fixture.store.reader().measurements().unwrap();
        let expected: &[&str] = if measures { &[] } else { &["node_elapsed_time", "workflow_elapsed_time"] };
        assert_eq!(measured, expected);
    }
}
