//! A version on seven hosts, while processes are killed, cables are pulled and the server is restarted:
//! an entrypoint, each of three nodes twice, and NATS.
//!
//! What must hold: each client has exactly one answer or one clear error, never later than its deadline; with
//! JetStream, the work of each request that was confirmed by an early reply is done at least once.
//!
//! `KRT_CHAOS_REQUESTS` sets how many requests there are, `KRT_CHAOS_SEED` which faults.

mod faults;
mod hosts;
mod site;

use crate::support::grpc::Client;
use faults::Faults;
use futures::future::join_all;
use serde_json::json;
use site::{CLIENT, Site};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{Code, Status};

const REQUESTS: usize = 5_000;
const CLIENTS: usize = 32;
/// How long each request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much later its end may be seen: this machine may be busy with the faults.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a client waits after an error, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(400)];
#[test]
fn with_jetstream_confirmed_work_is_done() {
    let Some(told) = chaos("with_jetstream_confirmed_work_is_done", "jetstream") else { return };
    println!("{told}");
}

#[test]
fn with_core_nobody_waits_past_the_deadline() {
    let Some(told) = chaos("with_core_nobody_waits_past_the_deadline", "core") else { return };
    println!("{told}");
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Tally {
    begun: AtomicUsize,
    answered: AtomicUsize,
    failed: Mutex<BTreeMap<&'static str, usize>>,
    /// The requests that were confirmed, by their number.
    confirmed: Mutex<BTreeSet<usize>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    fn took(&self, time: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = time.max(*slowest);
    }
}

/// Returns what came of it, in words; `None` where there is no server.
fn chaos(test: &str, mode: &'static str) -> Option<String> {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let requests = number("KRT_CHAOS_REQUESTS", REQUESTS);
    let seed = number("KRT_CHAOS_SEED", std::process::id() as usize);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let site = runtime.block_on(Site::open(test, mode))?;
    let address = site.start();
    let tally = Tally::default();
    let begun = Instant::now();
    let faults = std::thread::scope(|scope| {
        let clients = scope.spawn(|| site.hosts.on(CLIENT, || clients(address, &tally, requests)));
        let faults = Faults::new(&site, seed).run(&tally, requests);
        site.mend();
        clients.join().expect("each request ends as it should");
        faults
    });
    let took = begun.elapsed().as_secs_f64();
    let confirmed = tally.confirmed.lock().unwrap();
    let done = if mode == "jetstream" { site.done_with(&confirmed) } else { site.done() };
    let answered = tally.answered.load(Ordering::Relaxed);
    let failed = tally.failed.lock().unwrap();
    let told = format!(
        "{mode}, {}, seed {seed}: {requests} requests in {took:.0} s, {answered} answered ({} confirmed, {} of them done), failed {failed:?}, slowest {:?}; {faults}",
        site.hosts.kind(),
        confirmed.len(),
        confirmed.intersection(&done).count(),
        tally.slowest.lock().unwrap(),
    );
    assert_eq!(answered + failed.values().sum::<usize>(), requests, "{told}");
    assert!(answered > requests / 4, "{told}");
    if mode == "jetstream" {
        let lost: Vec<_> = confirmed.difference(&done).collect();
        assert!(lost.is_empty(), "confirmed and not done: {lost:?}; {told}\n{}", site.complaints());
    }
    Some(told)
}

/// Sends the requests, on the host of the clients.
fn clients(address: SocketAddr, tally: &Tally, requests: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(&site::package(), address);
        join_all((0..CLIENTS).map(|_| one_client(&client, tally, requests))).await;
    });
}

async fn one_client(client: &Client, tally: &Tally, requests: usize) {
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    loop {
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

/// Of which kind an error is, which must be one that a client can understand.
fn clear(status: &Status) -> &'static str {
    let message = status.message();
    match status.code() {
        Code::DeadlineExceeded => "deadline",
        Code::Unavailable if message.contains("is down") => "down",
        Code::Unavailable if message.contains("connection to NATS") => "disconnected",
        // The door's cable was pulled: the client's own words.
        Code::Unavailable | Code::Cancelled | Code::Unknown
            if message.contains("transport") || message.contains("h2") =>
        {
            "transport"
        }
        Code::Internal if message.contains("died while it handled the request") => "died",
        _ => panic!("no clear error: {status}"),
    }
}
