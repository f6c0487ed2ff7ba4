//! Many requests through three workers with all features enabled: measurements, documents, predictions, logs,
//! traces and a dashboard with a viewer. Workers are killed at random, SIGKILL and SIGTERM restart the engine
//! in turn, and some clients disconnect. Over JetStream, its server is killed, too.
//!
//! The test asserts:
//! - Nothing is lost: each request has an answer of its own or an error with the reason, and everything that
//!   a handler saved before its client's answer is stored.
//! - Nothing is duplicated: in memory, each request is handled at most once. Over JetStream, work may be
//!   repeated; the test prints how often.
//! - Nothing grows: the memory and the descriptors of the engine and of each worker, and the telemetry on
//!   disk.
//!
//! `KRT_SOAK_REQUESTS` and `KRT_SOAK_JETSTREAM_REQUESTS` set the number of requests, `KRT_SOAK_MINUTES` the
//! time after which none begin, `KRT_SOAK_SEED` the times of faults. `make soak` runs all of it in a release
//! build; docs/soak.md has the results.

mod deployment;
mod faults;
mod fit;
mod growth;
mod load;
mod progress;
mod saved;
mod traces;
mod viewer;

use deployment::Deployment;
use growth::Growth;
use load::{Plan, Tally};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// The default number of requests.
const REQUESTS: usize = 20_000;
const JETSTREAM_REQUESTS: usize = 8_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_grows_in_memory() {
    println!("{}", soak("KRT_SOAK_REQUESTS", REQUESTS, Deployment::in_memory().await).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_grows_over_jetstream() {
    let Some(deployment) = Deployment::over_jetstream("nothing_is_lost_or_grows_over_jetstream").await else {
        return;
    };
    println!("{}", soak("KRT_SOAK_JETSTREAM_REQUESTS", JETSTREAM_REQUESTS, deployment).await);
}

/// Returns a summary.
async fn soak(variable: &str, default: usize, mut deployment: Deployment) -> String {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<usize>().unwrap());
    let seed = number("KRT_SOAK_SEED").unwrap_or(std::process::id() as usize);
    let (tally, mut growth) = (Arc::new(Tally::default()), Growth::default());
    let begun = Instant::now();
    let until = number("KRT_SOAK_MINUTES").map(|minutes| begun + Duration::from_secs(60 * minutes as u64));
    let plan = Plan { requests: number(variable).unwrap_or(default), until };
    let viewer = tokio::spawn(viewer::load_pages(deployment.dashboard));
    let clients = tokio::spawn(load::clients(deployment.address, Arc::clone(&tally), plan));
    let is_over = || clients.is_finished();
    let faults = faults::bring(&mut deployment, &tally, &mut growth, (plan.requests, seed), is_over).await;
    clients.await.expect("each request ends as it should");
    let (took, requests) = (begun.elapsed(), tally.begun.load(Ordering::Relaxed));
    viewer.abort();
    let looked = viewer.await.expect_err("nobody else ends it");
    assert!(looked.is_cancelled(), "the dashboard: {looked}");
    let disk = deployment.disk();
    let spans = deployment.traces.received.load(Ordering::Relaxed);
    let (mode, keeps) = (deployment.mode(), deployment.is_in_memory());
    let saved = saved::compare(deployment.stop().await, &tally).await;
    let summary = format!(
        "{mode}, seed {seed}: {requests} requests in {:.0} s ({:.0} a second)\n{tally}\n{faults}\n{saved}\n{disk}\n\
         {spans} exports of traces\n{growth}",
        took.as_secs_f64(),
        requests as f64 / took.as_secs_f64(),
    );
    tally.assert_complete(requests, &summary);
    saved.assert_nothing_lost();
    if keeps {
        saved.assert_nothing_doubled();
    }
    disk.assert_bounded();
    growth.assert_flat(requests);
    assert!(spans > 0, "no trace was exported: {summary}");
    summary
}
