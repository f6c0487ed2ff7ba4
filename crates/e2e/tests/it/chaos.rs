//! A distributed version under faults: processes are killed, cables are pulled and servers restart. The
//! version has an entrypoint, two instances of each of three nodes, and NATS as one server or a cluster of
//! three.
//!
//! Each client must receive exactly one answer or one clear error, never later than its deadline. With
//! JetStream, the work of each request that an early reply confirmed is done at least once. In a cluster,
//! this holds although each of its servers loses its disk, one after the other.
//!
//! `KRT_CHAOS_REQUESTS` sets the number of requests, `KRT_CHAOS_SEED` the sequence of faults.

mod deployment;
mod faults;
mod hosts;

use crate::support::grpc::{Client, is_of_the_transport};
use deployment::{CLIENT, Deployment, Kind};
use faults::Faults;
use futures::future::join_all;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{Code, Status};

const REQUESTS: usize = 5_000;
const CLIENTS: usize = 32;
/// The deadline of each request.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much later the end of a request may be observed: the faults keep this machine busy.
const MARGIN: Duration = Duration::from_secs(5);
/// A client's first and longest pause after an error.
const BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(400)];

#[test]
fn jetstream_completes_confirmed_work() {
    let Some(summary) = chaos("jetstream_completes_confirmed_work", Kind::JetStream) else { return };
    println!("{summary}");
}

#[test]
fn a_cluster_completes_confirmed_work_despite_lost_disks() {
    let Some(summary) = chaos("a_cluster_completes_confirmed_work_despite_lost_disks", Kind::Cluster) else {
        return;
    };
    println!("{summary}");
}

#[test]
fn core_requests_end_by_their_deadline() {
    let Some(summary) = chaos("core_requests_end_by_their_deadline", Kind::Core) else { return };
    println!("{summary}");
}

/// The outcomes of the requests.
#[derive(Debug, Default)]
struct Tally {
    begun: AtomicUsize,
    /// Whether new requests are paused.
    rests: AtomicBool,
    answered: AtomicUsize,
    failed: Mutex<BTreeMap<&'static str, usize>>,
    /// The numbers of confirmed requests.
    confirmed: Mutex<BTreeSet<usize>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    fn took(&self, time: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = time.max(*slowest);
    }
}

/// The tests use the same host names, and deadlines need the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Returns a summary; `None` if there is no server.
fn chaos(test: &str, kind: Kind) -> Option<String> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let requests = number("KRT_CHAOS_REQUESTS", REQUESTS);
    let seed = number("KRT_CHAOS_SEED", std::process::id() as usize);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let deployment = runtime.block_on(Deployment::open(test, kind))?;
    let address = deployment.start();
    let tally = Tally::default();
    let begun = Instant::now();
    let faults = std::thread::scope(|scope| {
        let clients = scope.spawn(|| deployment.hosts.on(CLIENT, || clients(address, &tally, requests)));
        let faults = Faults::new(&deployment, seed).run(&tally, requests, || clients.is_finished());
        deployment.restore();
        clients.join().expect("each request ends as it should");
        faults
    });
    let took = begun.elapsed().as_secs_f64();
    let confirmed = tally.confirmed.lock().unwrap();
    let done = if kind.keeps_work() { deployment.done_with(&confirmed) } else { deployment.done() };
    let answered = tally.answered.load(Ordering::Relaxed);
    let failed = tally.failed.lock().unwrap();
    let summary = format!(
        "{kind:?}, {}, seed {seed}: {requests} requests in {took:.0} s, {answered} answered ({} confirmed, {} of them done), failed {failed:?}, slowest {:?}; {faults}",
        deployment.hosts.kind(),
        confirmed.len(),
        confirmed.intersection(&done).count(),
        tally.slowest.lock().unwrap(),
    );
    assert_eq!(answered + failed.values().sum::<usize>(), requests, "{summary}");
    assert!(answered > requests / 4, "{summary}");
    assert!(faults.are_complete(), "not each server lost its disk: {summary}");
    if kind.keeps_work() {
        let lost: Vec<_> = confirmed.difference(&done).collect();
        assert!(lost.is_empty(), "confirmed and not done: {lost:?}; {summary}\n{}", deployment.complaints());
    }
    Some(summary)
}

/// Sends the requests from the clients' host.
fn clients(address: SocketAddr, tally: &Tally, requests: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(&deployment::package(), address);
        join_all((0..CLIENTS).map(|_| one_client(&client, tally, requests))).await;
    });
}

async fn one_client(client: &Client, tally: &Tally, requests: usize) {
    let [shortest, longest] = BACKOFF;
    let mut pause = shortest;
    loop {
        while tally.rests.load(Ordering::Relaxed) {
            tokio::time::sleep(shortest).await;
        }
        let number = tally.begun.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return;
        }
        let confirm = number.is_multiple_of(2);
        let rpc = if confirm { "Confirm" } else { "Ask" };
        let request = json!({ "text": number.to_string(), "confirm": confirm });
        let begun = Instant::now();
        let answer =
            tokio::time::timeout(DEADLINE + MARGIN, client.call_within(DEADLINE, rpc, request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("request {number} waits past its deadline"));
        tally.took(begun.elapsed());
        match answer {
            Ok(answer) => {
                let word = if confirm { "confirmed" } else { "done" };
                assert_eq!(answer["text"], format!("{number} {word}"), "an answer of another request");
                tally.answered.fetch_add(1, Ordering::Relaxed);
                if confirm {
                    tally.confirmed.lock().unwrap().insert(number);
                }
                pause = shortest;
            }
            Err(status) => {
                *tally.failed.lock().unwrap().entry(clear(&status)).or_default() += 1;
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
        }
    }
}

/// The kind of an error, which a client must be able to understand.
fn clear(status: &Status) -> &'static str {
    let message = status.message();
    match status.code() {
        Code::DeadlineExceeded => "deadline",
        Code::Unavailable if message.contains("is down") => "down",
        Code::Unavailable if message.contains("connection to NATS") => "disconnected",
        Code::Unavailable if message.contains("has not stored the message") => "not stored",
        // The entrypoint's host lost its cable.
        _ if is_of_the_transport(status) => "transport",
        Code::Internal if message.contains("died while it handled the request") => "died",
        _ => panic!("no clear error: {status}"),
    }
}
