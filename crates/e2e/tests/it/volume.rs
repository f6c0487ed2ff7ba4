//! Every page of the dashboard on a large store.
//!
//! `KRT_VOLUME_REQUESTS` sets the number of requests, with 20 log lines each; the pages are designed for
//! 50000. The test compares each page's API responses with the content of the store. It prints their
//! duration, which it does not assert (`--nocapture`, `--release`). `KRT_VOLUME_FOLDER` names a new folder
//! where the server's data remains for the corresponding dashboard test
//! (`dashboard/e2e/real/volume.test.ts`).

mod fill;

use crate::support::team::Team;
use fill::{CLASSES, FAIL_EVERY, LINES, NODES, WARN_EVERY, WRONG_EVERY};
use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// The default number of requests.
const REQUESTS: usize = 500;
/// The number of concurrent clients.
const CLIENTS: usize = 32;
/// The number of requests for each page; the median counts.
const ROUNDS: usize = 5;
/// The number of additional real requests.
const REAL_REQUESTS: usize = 500;

/// Sends the requests of the pages, and measures their duration.
struct Pages<'a> {
    team: &'a Team,
    slowest: Duration,
    /// A line for each page.
    lines: Vec<String>,
}

impl Pages<'_> {
    async fn get(&mut self, page: &str, path: &str) -> Value {
        let (mut times, mut last) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let reply = self.team.api.get(&format!("/runtimes/shop{path}")).await;
            times.push(begun.elapsed());
            last = Some(reply);
        }
        times.sort();
        let (median, reply) = (times[ROUNDS / 2], last.expect("it was asked for"));
        let millis = median.as_secs_f64() * 1e3;
        self.lines.push(format!("{millis:8.1} ms {:9} bytes  {page}", reply.body.len()));
        self.slowest = self.slowest.max(median);
        reply.expect(StatusCode::OK)
    }
}

fn count(value: &Value) -> usize {
    value.as_array().expect("it is a list").len()
}

/// The sum of all windows' counts.
fn counted(windows: &Value) -> u64 {
    let series = windows["series"].as_array().expect("it is a list").iter();
    let windows = series.flat_map(|series| series["windows"].as_array().expect("it is a list"));
    windows.map(|window| window["count"].as_u64().expect("it is a count")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_over_a_large_store() {
    let requests = std::env::var("KRT_VOLUME_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("KRT_VOLUME_FOLDER").map(PathBuf::from);
    let data = kept.as_deref().unwrap_or(temporary.path());
    // The server creates the runtime; its store is filled while no process has it open.
    Team::with_shop(data).await.stop().await;
    let begun = Instant::now();
    let filled = fill::fill(&data.join("runtimes/shop/store"), requests).await;
    println!("{requests} requests, {} lines: filled in {:.1?}", requests * LINES, begun.elapsed());
    let team = Team::start(data).await;
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    println!("{REAL_REQUESTS} calls: {:.1?}", call(&team, REAL_REQUESTS).await);

    let mut pages = Pages { team: &team, slowest: Duration::ZERO, lines: Vec::new() };
    logs(&mut pages, &filled).await;
    measurements(&mut pages, &filled).await;
    predictions(&mut pages, &filled).await;
    courses(&mut pages, &filled).await;
    println!("{}\n{:8.1} ms the slowest", pages.lines.join("\n"), pages.slowest.as_secs_f64() * 1e3);
    team.stop().await;
}

/// Makes real calls; returns their duration.
async fn call(team: &Team, requests: usize) -> Duration {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    join_all((0..CLIENTS).map(async |_| {
        let client = team.client();
        while next.fetch_add(1, Ordering::Relaxed) < requests {
            client.call("Name", json!({})).await.unwrap();
        }
    }))
    .await;
    begun.elapsed()
}

async fn logs(pages: &mut Pages<'_>, filled: &fill::Filled) {
    let page = pages.get("logs, latest", "/logs?limit=500").await;
    assert_eq!(count(&page["logs"]), 500);
    let oldest = page["logs"][499]["id"].as_u64().unwrap();
    let page = pages.get("logs, next page", &format!("/logs?limit=500&cursor={oldest}")).await;
    assert_eq!(page["logs"][0]["id"], json!(oldest - 1));

    let of = &filled.requests;
    let (first, middle) = (&of[0], &of[of.len() / 2]);
    let text = format!("/logs?text=item%20{}%20of", of.len() * LINES / 3);
    let page = pages.get("logs, a rare text", &text).await;
    assert_eq!(count(&page["logs"]), 1);
    let page = pages.get("logs, a text that is not there", "/logs?text=no%20such%20text").await;
    assert_eq!(count(&page["logs"]), 0);
    let page = pages.get("logs, a frequent text", "/logs?text=BATCH&limit=500").await;
    assert_eq!(count(&page["logs"]), 500);

    let grave = of.len() / FAIL_EVERY;
    let page = pages.get("logs, errors", "/logs?level=ERROR&limit=1000").await;
    assert_eq!(count(&page["logs"]), grave.min(1000));
    let page = pages.get("logs, errors with a text", "/logs?level=ERROR&text=nothing%20like%20it").await;
    assert_eq!(count(&page["logs"]), 0);
    let page = pages.get("logs, warnings", "/logs?level=WARN&limit=1000").await;
    assert_eq!(count(&page["logs"]), (grave + of.len() / WARN_EVERY).min(1000));
    let page = pages.get("logs, of a node", &format!("/logs?node={}&limit=500", NODES[1])).await;
    assert_eq!(count(&page["logs"]), 500);
    let page = pages.get("logs, of a node that never spoke", "/logs?node=nobody").await;
    assert_eq!(count(&page["logs"]), 0);
    let page = pages.get("logs, of a workflow that never ran", "/logs?workflow=nothing").await;
    assert_eq!(count(&page["logs"]), 0);

    for (which, request) in [("first", first), ("middle", middle), ("last", &of[of.len() - 1])] {
        let page = pages
            .get(&format!("logs, of the {which} request"), &format!("/logs?request={}", request.id))
            .await;
        assert_eq!(count(&page["logs"]), request.lines);
    }
    let page = pages.get("logs, of a request that never was", "/logs?request=nothing").await;
    assert_eq!(count(&page["logs"]), 0);

    let (from, to) = (middle.time(), filled.later(middle, 3600));
    let hour = format!("/logs?from={from}&to={to}&limit=1000");
    let page = pages.get("logs, of an hour", &hour).await;
    let times = page["logs"].as_array().unwrap().iter().map(|log| log["time"].as_str().unwrap());
    let mut times = times.peekable();
    assert!(times.peek().is_some() && times.all(|time| *from <= *time && *time < *to));
    let page = pages.get("logs, a text in an hour", &format!("{hour}&text=no%20such%20text")).await;
    assert_eq!(count(&page["logs"]), 0);
}

async fn measurements(pages: &mut Pages<'_>, filled: &fill::Filled) {
    let list = pages.get("measurements", "/measurements").await;
    let all = list.as_array().unwrap();
    let names: Vec<_> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["confidence", "node_elapsed_time", "workflow_elapsed_time"]);
    assert_eq!(all[0]["points"], json!(filled.requests.len()));

    let day = format!("from={}&to={}", filled.requests[0].time(), filled.end());
    let ended = (filled.requests.len() - filled.requests.len() / FAIL_EVERY) as u64;
    let nodes = "/measurements/node_elapsed_time/windows?field=elapsed_ms";
    let windows = pages.get("windows of a day, by node", &format!("{nodes}&{day}&group_by=node")).await;
    assert_eq!(counted(&windows), ended * NODES.len() as u64);
    assert_eq!(count(&windows["series"]), NODES.len());
    let windows =
        pages.get("windows of a day, of a minute", &format!("{nodes}&{day}&every_seconds=60")).await;
    assert_eq!(counted(&windows), ended * NODES.len() as u64);
    let windows = pages.get("windows of a day, waiting by all tags", &format!("/measurements/node_elapsed_time/windows?field=waiting_ms&{day}&group_by=node&group_by=workflow&group_by=version")).await;
    assert_eq!(counted(&windows), ended * NODES.len() as u64);
    let windows =
        pages.get("windows of a day, one node", &format!("{nodes}&{day}&tag=node:{}", NODES[0])).await;
    assert_eq!(counted(&windows), ended);
    let flows = "/measurements/workflow_elapsed_time/windows?field=elapsed_ms";
    let windows =
        pages.get("windows of a day, by workflow", &format!("{flows}&{day}&group_by=workflow")).await;
    assert_eq!(counted(&windows), ended);
    let own = "/measurements/confidence/windows?field=value";
    let windows = pages.get("windows of a day, of the user's", &format!("{own}&{day}&group_by=class")).await;
    assert_eq!(counted(&windows), filled.requests.len() as u64);
    assert_eq!(count(&windows["series"]), CLASSES);
    pages.get("windows of the last hour, by node", &format!("{nodes}&group_by=node")).await;
    let middle = &filled.requests[filled.requests.len() / 2];
    let hour = format!("from={}&to={}", middle.time(), filled.later(middle, 3600));
    let windows = pages.get("windows of an hour, by node", &format!("{nodes}&{hour}&group_by=node")).await;
    assert!(counted(&windows) > 0 && counted(&windows) < ended);
}

async fn predictions(pages: &mut Pages<'_>, filled: &fill::Filled) {
    let all = filled.requests.len() as u64;
    let summary = pages.get("predictions, summary", "/predictions/summary").await;
    assert_eq!(summary["predictions"], json!(all));
    assert_eq!(summary["correct"], json!(all - all / WRONG_EVERY as u64));
    assert_eq!(count(&summary["classes"]), CLASSES);
    let day = format!("from={}&to={}", filled.requests[0].time(), filled.end());
    let summary =
        pages.get("predictions, summary of a day", &format!("/predictions/summary?{day}&version=v1")).await;
    assert_eq!(summary["predictions"], json!(all));
    let middle = &filled.requests[filled.requests.len() / 2];
    let hour = format!("from={}&to={}", middle.time(), filled.later(middle, 3600));
    let summary = pages.get("predictions, summary of an hour", &format!("/predictions/summary?{hour}")).await;
    assert!(summary["predictions"].as_u64().unwrap() < all);
    let page = pages.get("predictions, latest", "/predictions?limit=50").await;
    assert_eq!(count(&page["predictions"]), 50);
    let page =
        pages.get("predictions, far down", &format!("/predictions?limit=50&cursor={}", all - 50)).await;
    assert_eq!(count(&page["predictions"]), 50);
    let page = pages
        .get("predictions, of a class", "/predictions?limit=50&predicted=class-3&true_value=class-3")
        .await;
    assert_eq!(page["predictions"][0]["predicted"], json!("class-3"));
    let page = pages.get("predictions, none fits", "/predictions?predicted=nothing").await;
    assert_eq!(count(&page["predictions"]), 0);
}

async fn courses(pages: &mut Pages<'_>, filled: &fill::Filled) {
    let all = filled.requests.len();
    let page = pages.get("requests, latest", "/requests?limit=50").await;
    assert_eq!(page["kept"], json!(all + REAL_REQUESTS));
    assert_eq!(count(&page["requests"]), 50);
    let next = page["next"].as_str().unwrap();
    let next = pages.get("requests, next page", &format!("/requests?limit=50&cursor={next}")).await;
    assert_eq!(count(&next["requests"]), 50);
    let starts = [&page, &next].into_iter().flat_map(|page| page["requests"].as_array().unwrap());
    assert!(starts.map(|one| one["start"].as_str()).is_sorted_by(|one, next| one >= next));

    let slowest = pages.get("requests, slowest", "/requests?limit=50&order=slowest").await;
    let times: Vec<_> =
        slowest["requests"].as_array().unwrap().iter().map(|one| one["elapsed_ms"].as_f64()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    let path = "/requests?limit=50&order=slowest&workflow=explain";
    let slowest = pages.get("requests, slowest of a workflow", path).await;
    assert_eq!(count(&slowest["requests"]), 50);
    let failed = pages.get("requests, failed", "/requests?limit=500&ending=failed").await;
    assert_eq!(count(&failed["requests"]), (all / FAIL_EVERY).min(500));
    let path = "/requests?limit=500&ending=failed&order=slowest&version=v1";
    let failed = pages.get("requests, slowest that failed", path).await;
    assert_eq!(count(&failed["requests"]), (all / FAIL_EVERY).min(500));
    let none = pages.get("requests, none fits", "/requests?workflow=nothing").await;
    assert_eq!(count(&none["requests"]), 0);

    for (which, request) in [("first", 0), ("middle", all / 2), ("last", all - 1)] {
        let request = &filled.requests[request];
        let detail = pages.get(&format!("the {which} request"), &format!("/requests/{}", request.id)).await;
        assert_eq!(count(&detail["request"]["hops"]), NODES.len());
        assert_eq!(count(&detail["logs"]), request.lines);
    }
    let real = page["requests"][0]["id"].as_str().unwrap();
    let detail = pages.get("a real request", &format!("/requests/{real}")).await;
    assert_eq!((count(&detail["logs"]), count(&detail["request"]["hops"])), (1, 1));
    assert_eq!(count(&detail["points"]), 2);
    pages.get("graph", "/versions/v1/graph").await;
}
