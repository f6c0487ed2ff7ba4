//! The flow with hosts made for the test: what it promises, whatever hosts do.

use super::*;
use krt_model::{
    message::TYPE_URL_PREFIX,
    name::Name,
    version::{RunOptions, Workflow},
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, Weak};

/// What a host makes of a message; `None`: it keeps it.
type Act = dyn Fn(&Payload) -> Option<HandlerResult> + Send + Sync;

/// A host that does what its script says with each delivery.
struct Scripted {
    flow: Weak<Flow>,
    seat: OnceLock<SeatId>,
    act: Box<Act>,
    kept: Mutex<Vec<Delivery>>,
    cancelled: AtomicU64,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Host for Scripted {
    fn deliver(&self, delivery: Delivery) -> Result<Taken, Delivery> {
        let flow = self.flow.upgrade().unwrap();
        match (self.act)(&delivery.payload) {
            Some(result) => {
                flow.desk(delivery.node()).freed(*self.seat.get().unwrap());
                flow.finish(delivery, result, Handled { start: now(), end: now() });
            }
            None => self.kept.lock().unwrap().push(delivery),
        }
        Ok(Taken::InWork)
    }

    fn cancel(&self, request: &Request) {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|delivery| !std::ptr::eq(&*delivery.request, request));
        self.cancelled.fetch_add((before - kept.len()) as u64, Ordering::Relaxed);
    }
}

struct House {
    flow: Arc<Flow>,
    route: Arc<Route>,
    _store: (tempfile::TempDir, krt_store::Writer),
}

fn house(retries: u16, limits: Limits) -> House {
    let name = |text| Name::parse(text).unwrap();
    let node = |text| Node {
        name: name(text),
        src: String::new(),
        build: None,
        image: None,
        gpu: false,
        run: RunOptions { retries, ..RunOptions::default() },
    };
    let version = Version {
        name: name("v1"),
        description: String::new(),
        proto: String::new(),
        config: Vec::new(),
        nodes: vec![node("one"), node("two")],
        workflows: vec![Workflow { name: name("w"), entrypoint: "Run".to_owned(), sequence: vec![0, 1] }],
    };
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = Store::open(folder.path(), &krt_store::Options::default()).unwrap();
    let flow = Arc::new(Flow::new(&version, limits, &store));
    flow.admission().open();
    let route = Arc::new(Route {
        workflow: name("w"),
        index: 0,
        sequence: vec![0, 1],
        answer_type: "t.M".to_owned(),
        answer_limit: 1024,
    });
    House { flow, route, _store: (folder, writer) }
}

impl House {
    fn seat(
        &self,
        node: usize,
        room: usize,
        act: impl Fn(&Payload) -> Option<HandlerResult> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        let host = Arc::new(Scripted {
            flow: Arc::downgrade(&self.flow),
            seat: OnceLock::new(),
            act: Box::new(act),
            kept: Mutex::default(),
            cancelled: AtomicU64::new(0),
        });
        self.flow.desk(node).join(Arc::clone(&host) as _, room, &host.seat);
        host
    }

    async fn request(&self, timeout: Duration) -> Result<Payload, Failure> {
        let permit = self.flow.admission().enter(10)?;
        self.flow
            .request(permit, &self.route, message(b"in"), Deadline::after(timeout), Trace::default())
            .await
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
async fn a_message_goes_through_its_nodes() {
    let house = house(0, Limits::default());
    house.seat(0, 1, |_| Some(HandlerResult::Message { payload: message(b"one"), early_exit: false }));
    house.seat(1, 1, echo);
    assert_eq!(house.request(LONG).await, Ok(message(b"one")));
    assert_eq!(house.flow.admission().in_work(), 0);
}

#[tokio::test]
async fn no_host_is_a_failure_at_once() {
    let house = house(0, Limits::default());
    house.seat(0, 1, echo);
    let failure = house.request(LONG).await.unwrap_err();
    assert_eq!(failure, Failure::Down { node: Name::parse("two").unwrap() });
}

#[tokio::test]
async fn a_node_with_retries_waits_for_a_host() {
    let house = house(1, Limits::default());
    house.seat(0, 1, echo);
    let late = async {
        while house.flow.desk(1).waiting() == 0 {
            tokio::task::yield_now().await;
        }
        house.seat(1, 1, echo);
    };
    let (answer, ()) = tokio::join!(house.request(LONG), late);
    assert_eq!(answer, Ok(message(b"in")));
}

#[tokio::test]
async fn death_is_retried_as_often_as_the_node_allows() {
    for (retries, answered) in [(0, false), (1, false), (2, true)] {
        let house = house(retries, Limits::default());
        let deaths = AtomicU64::new(0);
        house.seat(0, 1, move |payload| match deaths.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Some(HandlerResult::Died("killed".to_owned())),
            _ => echo(payload),
        });
        house.seat(1, 1, echo);
        assert_eq!(house.request(LONG).await.is_ok(), answered, "{retries} retries");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_stops_the_work() {
    let house = house(0, Limits::default());
    let host = house.seat(0, 1, |_| None);
    let failure = house.request(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(failure, Failure::Deadline { .. }), "{failure:?}");
    assert_eq!(host.cancelled.load(Ordering::Relaxed), 1);
    assert_eq!(house.flow.admission().in_work(), 0);
}

#[tokio::test]
async fn what_waits_is_dropped_when_its_client_leaves() {
    let house = house(0, Limits::default());
    house.seat(0, 1, |_| None);
    let (mut first, mut second) = (Box::pin(house.request(LONG)), Box::pin(house.request(LONG)));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(house.flow.desk(0).waiting(), 1);
    drop(second);
    assert_eq!((house.flow.desk(0).waiting(), house.flow.admission().in_work()), (0, 1));
}

#[tokio::test]
async fn the_door_is_closed_when_it_is_full() {
    let limits = Limits { requests: 1, bytes: 1 << 20 };
    let house = house(0, limits);
    house.seat(0, 1, |_| None);
    let mut first = Box::pin(house.request(LONG));
    assert!(futures::poll!(&mut first).is_pending());
    let refused = house.request(LONG).await.unwrap_err();
    assert_eq!(refused, Failure::QueueFull { limit: 1, unit: "requests" });
    drop(first);
    assert_eq!(house.flow.admission().in_work(), 0);
}

#[tokio::test]
async fn a_lost_delivery_is_told() {
    let house = house(0, Limits::default());
    let host = house.seat(0, 1, |_| None);
    let mut request = Box::pin(house.request(LONG));
    assert!(futures::poll!(&mut request).is_pending());
    host.kept.lock().unwrap().clear();
    assert_eq!(request.await, Err(Failure::Lost));
}

#[tokio::test]
async fn the_first_answer_wins() {
    let house = house(0, Limits::default());
    let host = house.seat(0, 1, |_| None);
    house.seat(1, 1, |_| Some(HandlerResult::Message { payload: message(b"late"), early_exit: false }));
    let mut request = Box::pin(house.request(LONG));
    assert!(futures::poll!(&mut request).is_pending());
    let delivery = host.kept.lock().unwrap().pop().unwrap();
    assert!(house.flow.reply_early(&delivery, Ok(message(b"early"))));
    assert!(!house.flow.reply_early(&delivery, Ok(message(b"second"))));
    house.flow.finish(delivery, echo(&message(b"x")).unwrap(), Handled { start: now(), end: now() });
    assert_eq!(request.await, Ok(message(b"early")));
}
