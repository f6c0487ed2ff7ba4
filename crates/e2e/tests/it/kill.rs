//! Kills workers at random while requests are in flight: each request receives exactly one answer, or one
//! clear error.
//!
//! `KRT_KILL_REQUESTS` sets the number of requests.

use crate::support::{Krt, Service, eventually, processes, scratch};
use futures::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tonic::{Code, Status};

const REQUESTS: usize = 3_000;
const CLIENTS: usize = 32;
const NODES: [&str; 3] = ["one", "two", "three"];
/// The deadline of each request, enforced by the clients.
const DEADLINE: Duration = Duration::from_secs(20);
/// The number of answers between two kills; the minimum lets the nodes restart.
const ANSWERS: std::ops::Range<usize> = 20..120;
/// A client's first and longest pause after an error: without pauses, clients would use up the requests while
/// all nodes are down.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(800)];
/// The engine's maximum growth after its warm-up, bytes.
const GROWTH: u64 = 48 << 20;

#[derive(Debug, Default)]
struct Tally {
    begun: AtomicUsize,
    answered: AtomicUsize,
    died: AtomicUsize,
    down: AtomicUsize,
}

impl Tally {
    fn add(counter: &AtomicUsize) -> usize {
        counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts an error, which a client must be able to understand.
    fn error(&self, status: &Status) {
        let about_a_node = |start: &str| {
            let node = status.message().strip_prefix(start)?.split_once('\'')?;
            NODES.contains(&node.0).then_some(node.1)
        };
        let counter = match (status.code(), about_a_node("node '")) {
            (Code::Internal, Some(" died while it handled the request: killed by signal 9 (SIGKILL)")) => {
                &self.died
            }
            (Code::Unavailable, Some(" is down: it is being restarted")) => &self.down,
            _ => panic!("no clear error: {status}"),
        };
        Self::add(counter);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_ends_once_while_workers_are_killed() {
    println!("{}", every_request_ends_once("chain").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_ends_once_while_workers_in_go_are_killed() {
    println!("{}", every_request_ends_once("chain-go").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_ends_once_while_workers_in_rust_are_killed() {
    println!("{}", every_request_ends_once("chain-rust").await);
}

/// Returns a summary.
async fn every_request_ends_once(package: &str) -> String {
    let requests = std::env::var("KRT_KILL_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let service = Krt::run(package).start().await;
    let tally = Tally::default();
    let clients = join_all((0..CLIENTS).map(|_| client(&service, &tally, requests)));
    let (kills, _) = tokio::join!(killer(&service, &tally, requests), clients);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (answered, died, down) = (count(&tally.answered), count(&tally.died), count(&tally.down));
    let summary = format!("{kills} kills: {answered} answered, {died} died, {down} down, of {requests}");
    assert_eq!(answered + died + down, requests, "{summary}");
    assert!(kills > 0 && died > 0 && answered >= (kills - 1) * ANSWERS.start, "{summary}");
    recovered(&service).await;
    service.stop().await;
    summary
}

/// Sends requests one after the other until all were sent.
async fn client(service: &Service, tally: &Tally, requests: usize) {
    let client = service.client();
    let [shortest, longest] = BACKOFF;
    let mut pause = shortest;
    loop {
        let number = Tally::add(&tally.begun);
        if number >= requests {
            return;
        }
        let call = client.call_within(DEADLINE, "Run", json!({ "text": number.to_string() }));
        match tokio::time::timeout(DEADLINE, call).await.expect("each request ends within its deadline") {
            Ok(answer) => {
                assert_eq!(answer["text"], json!(format!("{number} one two three")));
                Tally::add(&tally.answered);
                pause = shortest;
            }
            Err(status) => {
                tally.error(&status);
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
        }
    }
}

/// Kills random workers while requests are in flight. Returns the number of kills.
async fn killer(service: &Service, tally: &Tally, requests: usize) -> usize {
    let (mut kills, mut early, mut next) = (0, None, 0);
    loop {
        let begun = tally.begun.load(Ordering::Relaxed);
        if begun >= requests {
            break;
        }
        if early.is_none() && begun > requests / 4 {
            early = Some(processes::resident(service.pid()));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        if tally.answered.load(Ordering::Relaxed) < next {
            continue;
        }
        let workers = service.workers(NODES[fastrand::usize(..NODES.len())]);
        if !workers.is_empty() {
            processes::signal(workers[fastrand::usize(..workers.len())], Signal::KILL);
            kills += 1;
            next = tally.answered.load(Ordering::Relaxed) + fastrand::usize(ANSWERS);
        }
    }
    let late = processes::resident(service.pid());
    let early = early.unwrap_or(late);
    assert!(late < early + GROWTH, "the engine grew from {early} to {late} bytes");
    kills
}

async fn recovered(service: &Service) {
    let call = async || service.call("Run", json!({ "text": "last" })).await.ok();
    let answer = eventually("the nodes are up again", call).await;
    assert_eq!(answer, json!({ "text": "last one two three" }));
    let left = processes::marked(scratch::VARIABLE, service.scratch.path()).len();
    assert!(left <= 5, "one engine and four workers, but {left} processes");
}
