//! The clients, and the outcomes of their requests.

use super::deployment::package;
use crate::support::grpc::Client;
use futures::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{Code, Status};

const CLIENTS: usize = 32;
/// One in this many requests has a client that disconnects.
const DISCONNECT_EVERY: usize = 1_000;
/// The maximum time before such a client disconnects, milliseconds.
const MAX_DISCONNECT_MILLIS: u64 = 6;
/// One in this many requests saves a document, and another one a prediction.
const SAVE_EVERY: usize = 10;
/// The deadline of each request.
const DEADLINE: Duration = Duration::from_secs(30);
/// A client's first and longest pause after an error.
const BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];

/// The outcomes of the requests. Each request is counted once.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) begun: AtomicUsize,
    pub(super) answered: AtomicUsize,
    left: AtomicUsize,
    /// Failed requests, by the kind of error.
    failed: Mutex<BTreeMap<&'static str, usize>>,
    /// The numbers of answered requests that saved something.
    pub(super) documents: Mutex<Vec<u32>>,
    pub(super) predictions: Mutex<Vec<u32>>,
}

/// The extent of the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The maximum number of requests.
    pub(super) requests: usize,
    /// The time after which no more requests begin.
    pub(super) until: Option<Instant>,
}

impl Tally {
    /// The number of the next request; `None` if all have begun.
    fn next(&self, plan: Plan) -> Option<usize> {
        if plan.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let next = |begun| (begun < plan.requests).then_some(begun + 1);
        self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    pub(super) fn assert_complete(&self, requests: usize, summary: &str) {
        let failed: usize = self.failed.lock().unwrap().values().sum();
        let ended = self.answered.load(Ordering::Relaxed) + self.left.load(Ordering::Relaxed) + failed;
        assert_eq!(ended, requests, "each request ends once: {summary}");
        assert!(failed < requests / 4, "{failed} of {requests} requests failed: {summary}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let failed = self.failed.lock().unwrap();
        write!(f, "{} answered, {} left, failed {failed:?}", count(&self.answered), count(&self.left))
    }
}

/// Sends the requests.
pub(super) async fn clients(address: SocketAddr, tally: Arc<Tally>, plan: Plan) {
    let client = Client::new(&package(), address);
    join_all((0..CLIENTS).map(|_| one_client(&client, &tally, plan))).await;
}

async fn one_client(client: &Client, tally: &Tally, plan: Plan) {
    let [shortest, longest] = BACKOFF;
    let mut pause = shortest;
    while let Some(number) = tally.next(plan) {
        match one_request(client, tally, number).await {
            Some(Err(status)) => {
                *tally.failed.lock().unwrap().entry(clear(&status)).or_default() += 1;
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
            Some(Ok(())) => pause = shortest,
            None => {}
        }
    }
}

/// Returns `None` if the client disconnected.
async fn one_request(client: &Client, tally: &Tally, number: usize) -> Option<Result<(), Status>> {
    let (document, prediction) = (number.is_multiple_of(SAVE_EVERY), number % SAVE_EVERY == SAVE_EVERY / 2);
    let request = json!({ "number": number, "document": document, "prediction": prediction });
    let call = client.call_within(DEADLINE, "Run", request);
    let answer = if number % DISCONNECT_EVERY == DISCONNECT_EVERY - 1 {
        let patience = Duration::from_millis(fastrand::u64(..MAX_DISCONNECT_MILLIS));
        let Ok(answer) = tokio::time::timeout(patience, call).await else {
            tally.left.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        answer
    } else {
        call.await
    };
    Some(answer.map(|answer| {
        assert_eq!(answer["passed"], "first second third", "an answer without all nodes");
        assert_eq!(answer["number"].as_u64().unwrap_or(0), number as u64, "an answer of another request");
        tally.answered.fetch_add(1, Ordering::Relaxed);
        for (saves, numbers) in [(document, &tally.documents), (prediction, &tally.predictions)] {
            if saves {
                numbers.lock().unwrap().push(u32::try_from(number).unwrap());
            }
        }
    }))
}

/// The kind of an error, which a client must be able to understand.
fn clear(status: &Status) -> &'static str {
    let message = status.message();
    match status.code() {
        Code::Internal if message.contains("died while it handled the request") => "died",
        Code::Unavailable if message.contains("is down") => "down",
        Code::Unavailable if message.contains("the service is st") => "starting or stopping",
        Code::Unavailable if message.contains("NATS") => "disconnected",
        Code::DeadlineExceeded => "deadline",
        // The engine was killed; the client itself made the status.
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal
            if ["transport", "h2", "client error", "connection"]
                .iter()
                .any(|word| message.contains(word)) =>
        {
            "transport"
        }
        _ => panic!("no clear error: {status}"),
    }
}
