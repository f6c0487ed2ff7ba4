//! The window alone, with deliveries whose clients stay.

use super::*;
use crate::{
    flow::{AnswerMessage, AnswerMeta, RemoteRequest, ReplySink},
    node::scripted::{Stage, line},
    traces::Trace,
};
use krt_model::{
    metadata::Metadata, outcome::Failure, priority::Priority, request::HopChain, version::RunOptions,
};

/// Nobody waits for an answer.
#[derive(Debug)]
struct NoClient;

impl ReplySink for NoClient {
    fn message(&self, _: AnswerMessage) {}

    fn end(&self, _: Result<(), Failure>, _: AnswerMeta) -> bool {
        false
    }
}

/// A stage whose requests a test makes itself.
struct Requests(Stage);

impl Requests {
    fn new() -> Self {
        Self(Stage::new(&RunOptions::default()))
    }

    /// A delivery of a request with this id, for which nobody waits.
    fn delivery(&self, id: &str) -> Delivery {
        let from = RemoteRequest {
            id: Some(id.into()),
            start: now(),
            deadline: None,
            trace: Trace::default(),
            metadata: Metadata::default(),
            priority: Priority::default(),
            reply: Box::new(NoClient),
            hops: HopChain::default(),
            replied: true,
        };
        let permit = self.0.flow.admission().enter(0).unwrap();
        let request = Request::remote(from, self.0.route(), permit);
        Delivery::new(request, 0, line(id), Vec::new())
    }

    /// A window with deliveries 1, 2, …
    fn window(&self, concurrency: usize, deliveries: u32) -> Window {
        let mut window = Window::new(concurrency);
        for id in 1..=deliveries {
            assert_eq!(window.next_id(), id);
            window.push(self.delivery(&id.to_string()));
        }
        window
    }
}

/// The ids of requests, and whether each was in flight.
fn unanswered(window: &mut Window) -> Vec<(String, bool)> {
    let drained = window.drain();
    drained.iter().map(|entry| (entry.delivery.request.id.to_string(), entry.in_flight)).collect()
}

fn some(ids: &[(&str, bool)]) -> Vec<(String, bool)> {
    ids.iter().map(|&(id, in_flight)| (id.to_owned(), in_flight)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_deliveries_are_in_flight() {
    let requests = Requests::new();
    let mut window = requests.window(2, 4);
    assert_eq!(unanswered(&mut window), some(&[("1", true), ("2", true), ("3", false), ("4", false)]));
    assert!(window.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_moves_the_next_delivery_into_flight() {
    let requests = Requests::new();
    let mut window = requests.window(2, 4);
    assert_eq!(&*window.answered(2).unwrap().unwrap().request.id, "2");
    assert_eq!(window.next_id(), 5);
    assert_eq!(unanswered(&mut window), some(&[("1", true), ("3", true), ("4", false)]));
}

#[tokio::test(start_paused = true)]
async fn ids_continue_after_gaps_and_past_the_last() {
    let requests = Requests::new();
    let mut window = requests.window(3, 3);
    assert!(window.answered(2).is_ok() && window.answered(1).is_ok());
    assert_eq!(window.answered(1).unwrap_err(), Unknown);
    assert_eq!(window.answered(2).unwrap_err(), Unknown);
    assert_eq!(window.get(4).unwrap_err(), Unknown);
    assert_eq!(&*window.get(3).unwrap().unwrap().request.id, "3");
    assert_eq!(window.next_id(), 4);
    let mut window = Window { first: u32::MAX, ..Window::new(2) };
    window.push(requests.delivery("last"));
    assert_eq!(window.next_id(), 0);
    window.push(requests.delivery("wrapped"));
    assert_eq!(&*window.answered(0).unwrap().unwrap().request.id, "wrapped");
    assert_eq!(&*window.answered(u32::MAX).unwrap().unwrap().request.id, "last");
    assert!(window.is_empty());
    assert_eq!(window.next_id(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_delivery_keeps_its_slot_until_its_result() {
    let requests = Requests::new();
    let mut window = Window::new(1);
    let (first, second) = (requests.delivery("1"), requests.delivery("2"));
    let (one, two) = (Arc::clone(&first.request), Arc::clone(&second.request));
    window.push(first);
    window.push(second);
    assert_eq!(window.cancel(&one).map(|(id, _)| id), Some(1));
    assert_eq!(window.cancel(&one).map(|(id, _)| id), None);
    assert!(window.get(1).unwrap().is_none() && !window.is_empty());
    assert!(window.answered(1).unwrap().is_none());
    // A delivery that was never in flight moves none into flight.
    window.push(requests.delivery("3"));
    window.push(requests.delivery("4"));
    let three = Arc::clone(&window.get(3).unwrap().unwrap().request);
    assert_eq!(window.cancel(&three).map(|(id, _)| id), Some(3));
    assert!(window.answered(3).unwrap().is_none());
    assert_eq!(window.cancel(&two).map(|(id, _)| id), Some(2));
    assert_eq!(unanswered(&mut window), some(&[("4", false)]));
}

#[tokio::test(start_paused = true)]
async fn only_deliveries_in_flight_are_overdue() {
    let requests = Requests::new();
    let (timeout, moment) = (Duration::from_secs(10), Duration::from_millis(1));
    let mut window = requests.window(2, 3);
    tokio::time::advance(timeout).await;
    assert!(window.overdue(Instant::now(), timeout).is_empty());
    tokio::time::advance(moment).await;
    let late = window.overdue(Instant::now(), timeout);
    let ids: Vec<_> = late.iter().map(|(id, delivery)| (*id, &*delivery.request.id)).collect();
    assert_eq!(ids, [(1, "1"), (2, "2")]);
    // Each is given up once, and the time since counts.
    tokio::time::advance(GRACE).await;
    assert!(window.overdue(Instant::now(), timeout).is_empty() && !window.is_stuck(Instant::now()));
    tokio::time::advance(moment).await;
    assert!(window.is_stuck(Instant::now()));
    assert!(window.answered(1).unwrap().is_none());
    tokio::time::advance(timeout + moment).await;
    let late = window.overdue(Instant::now(), timeout);
    assert_eq!(late.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_stuck_on_started_deliveries() {
    let requests = Requests::new();
    let moment = Duration::from_millis(1);
    let mut window = requests.window(1, 2);
    let waits = Arc::clone(&window.get(2).unwrap().unwrap().request);
    window.cancel(&waits);
    tokio::time::advance(2 * GRACE).await;
    assert!(!window.is_stuck(Instant::now()), "the worker has not started it");
    assert!(window.answered(1).unwrap().is_some());
    tokio::time::advance(GRACE).await;
    assert!(!window.is_stuck(Instant::now()), "its time begins when it can be started");
    tokio::time::advance(moment).await;
    assert!(window.is_stuck(Instant::now()));
    assert!(window.answered(2).unwrap().is_none());
    assert!(!window.is_stuck(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn ended_deliveries_are_remembered_by_their_ids() {
    let requests = Requests::new();
    let mut window = Window::new(1);
    window.push(requests.delivery("1"));
    assert_eq!(&**window.subject(1).unwrap().request(), "1");
    assert_eq!(window.subject(1).unwrap().workflow().as_str(), "play");
    assert!(window.subject(0).is_none() && window.subject(2).is_none());
    window.answered(1).unwrap();
    window.push(requests.delivery("2"));
    let second = Arc::clone(&window.get(2).unwrap().unwrap().request);
    window.cancel(&second);
    window.answered(2).unwrap();
    assert_eq!(&**window.subject(1).unwrap().request(), "1");
    assert_eq!(&**window.subject(2).unwrap().request(), "2");
    for id in 3..=MAX_REMEMBERED + 1 {
        window.push(requests.delivery(&id.to_string()));
        window.answered(u32::try_from(id).unwrap()).unwrap();
    }
    assert!(window.subject(1).is_none());
    assert_eq!(&**window.subject(2).unwrap().request(), "2");
}
