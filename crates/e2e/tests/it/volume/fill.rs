//! Fills a store with a day of requests, through the store's own API.

use bson::doc;
use futures::stream::{self, StreamExt as _};
use krt_model::{
    log::Level,
    name::Name,
    request::{Ending, Hop, HopEnding, RequestRecord},
};
use krt_store::{LogRecord, Options, PREDICTIONS, Series, Store, Value};
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::{ContextV7, Timestamp, Uuid};

/// The number of log lines of a request, not counting an error as the last line.
pub(super) const LINES: usize = 20;
/// One request in this many fails, warns, or is predicted wrongly.
pub(super) const FAIL_EVERY: usize = 50;
pub(super) const WARN_EVERY: usize = 10;
pub(super) const WRONG_EVERY: usize = 8;
/// The number of classes.
pub(super) const CLASSES: usize = 10;
/// The nodes that handle a request, in order.
pub(super) const NODES: [&str; 3] = ["etl", "model", "output"];

const WORKFLOWS: [&str; 2] = ["predict", "explain"];
const VERSION: &str = "v1";
const TRACEBACK: &str =
    "Traceback (most recent call last):\n  File \"main.py\", line 9, in handler\nValueError: no digit";
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// The number of requests written together, like those of a second or two.
const BATCH: usize = 100;
/// The number of documents saved concurrently.
const CONCURRENT_SAVES: usize = 64;

/// The content of a store.
pub(super) struct Filled {
    pub(super) requests: Vec<Request>,
}

/// A request of that day.
pub(super) struct Request {
    pub(super) id: String,
    /// The start, nanoseconds since the Unix epoch.
    start: i64,
    /// The number of log lines.
    pub(super) lines: usize,
}

impl Request {
    /// The start, in the format of queries.
    pub(super) fn time(&self) -> String {
        text(self.start)
    }
}

impl Filled {
    /// The time of a request plus some seconds.
    pub(super) fn later(&self, request: &Request, seconds: i64) -> String {
        text(request.start + seconds * SECOND)
    }

    /// A time after all requests and before any later ones.
    pub(super) fn end(&self) -> String {
        text(self.requests.last().expect("there are some").start + SECOND)
    }
}

/// Formats a time like the API and predictions.
fn text(nanos: i64) -> String {
    let micros = nanos / 1000;
    let date = bson::DateTime::from_millis(micros / 1_000_000 * 1000).try_to_rfc3339_string();
    let date = date.expect("it is a time of this century");
    format!("{}.{:06}Z", date.trim_end_matches('Z'), micros % 1_000_000)
}

/// Fills a store with `count` requests of the last day.
pub(super) async fn fill(folder: &Path, count: usize) -> Filled {
    let (store, writer) = Store::open(folder, &Options::default()).expect("nobody else has it open");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let begin = i64::try_from(now.as_nanos()).expect("it is before 2262") - DAY;
    let ids = ContextV7::new();
    let measured: Vec<_> = WORKFLOWS.iter().map(|workflow| Measured::new(&store, workflow)).collect();
    let mut requests = Vec::with_capacity(count);
    for number in 0..count {
        let start = begin + DAY / count as i64 * number as i64;
        let time = Timestamp::from_unix(&ids, (start / SECOND).unsigned_abs(), (start % SECOND) as u32);
        let mut request = Request { id: Uuid::new_v7(time).to_string(), start, lines: LINES };
        log(&store, &mut request, number);
        store.request(&record(&request, number));
        measured[number % WORKFLOWS.len()].add(&request, number);
        requests.push(request);
        if number % BATCH == BATCH - 1 {
            store.flush().await.expect("the store is open");
        }
    }
    predict(&store, &requests).await;
    writer.close();
    let counters = store.counters();
    let dropped = (counters.points_dropped, counters.logs_dropped, counters.requests_dropped);
    assert_eq!(dropped, (0, 0, 0), "all of it is in the store");
    Filled { requests }
}

fn fails(number: usize) -> bool {
    number % FAIL_EVERY == FAIL_EVERY - 1
}

/// The request record: through all nodes, or, for a failure, to the last one.
fn record(request: &Request, number: usize) -> RequestRecord {
    let name = |text| Name::parse(text).expect("the names are good");
    let took = 1_000_000 + (number * 7919 % 10_000) as i64 * 100;
    let hop = |position: usize| {
        let start = took * position as i64 + 50_000;
        Hop {
            node: name(NODES[position]),
            position,
            posted: took * position as i64,
            start,
            end: start + took - 80_000,
            encode: 0,
            decode: 400,
            ending: HopEnding::Returned,
        }
    };
    let mut hops: Vec<_> = (0..NODES.len()).map(hop).collect();
    let failed = fails(number);
    if failed {
        hops[NODES.len() - 1].ending = HopEnding::Raised;
    }
    let workflow = name(WORKFLOWS[number % WORKFLOWS.len()]);
    RequestRecord {
        elapsed: (took * NODES.len() as i64).unsigned_abs(),
        ending: if failed { Ending::Failed } else { Ending::Answered },
        error: failed.then(|| TRACEBACK.into()),
        request_bytes: 1000,
        answer_bytes: (!failed).then_some(20),
        stream: None,
        hops,
        ..RequestRecord::new(request.id.as_str().into(), name(VERSION), workflow, request.start)
    }
}

fn log(store: &Store, request: &mut Request, number: usize) {
    let say = |line: usize, level, message: &str| {
        store.log(&LogRecord {
            time: request.start + line as i64 * 100_000,
            level,
            version: VERSION,
            workflow: Some(WORKFLOWS[number % WORKFLOWS.len()]),
            node: Some(NODES[line * NODES.len() / (LINES + 1)]),
            request: Some(&request.id),
            message,
        });
    };
    for line in 0..LINES {
        let item = number * LINES + line;
        let level = match line {
            0 if number % WARN_EVERY == WARN_EVERY - 1 => Level::Warn,
            1..4 => Level::Debug,
            _ => Level::Info,
        };
        say(
            line,
            level,
            &format!("item {item} of the batch was handled: class {}, as usual", item % CLASSES),
        );
    }
    if fails(number) {
        say(LINES, Level::Error, TRACEBACK);
        request.lines += 1;
    }
}

/// The measurements of a workflow's requests.
struct Measured {
    workflow: Series,
    nodes: Vec<Series>,
    classes: Vec<Series>,
}

impl Measured {
    fn new(store: &Store, workflow: &str) -> Self {
        let series = |measurement, more: &[(&str, &str)]| {
            let tags = [&[("workflow", workflow), ("version", VERSION)], more].concat();
            store.series(measurement, &tags).expect("the tags are short texts")
        };
        Self {
            workflow: series("workflow_elapsed_time", &[]),
            nodes: NODES.iter().map(|node| series("node_elapsed_time", &[("node", node)])).collect(),
            classes: (0..CLASSES)
                .map(|class| series("confidence", &[("class", &class.to_string())]))
                .collect(),
        }
    }

    fn add(&self, request: &Request, number: usize) {
        let spread = |salt: usize| ((number * 7919 + salt * 104_729) % 10_000) as f64 / 1e3;
        let add = |series: &Series, fields: &[(&str, Value<'_>)]| {
            series
                .point(request.start + SECOND / 100, fields)
                .expect("the fields are numbers and short texts");
        };
        let confidence = Value::Float(1.0 - spread(0) / 100.0);
        add(&self.classes[number % CLASSES], &[("value", confidence)]);
        if fails(number) {
            return;
        }
        let id = || Value::from(request.id.as_str());
        for (index, node) in self.nodes.iter().enumerate() {
            let from = if index == 0 { "entrypoint" } else { NODES[index - 1] };
            let (elapsed, waiting) = (Value::Float(spread(index)), Value::Float(spread(index + 3) / 50.0));
            add(
                node,
                &[
                    ("tracking_id", id()),
                    ("node_from", from.into()),
                    ("elapsed_ms", elapsed),
                    ("waiting_ms", waiting),
                ],
            );
        }
        add(&self.workflow, &[("tracking_id", id()), ("elapsed_ms", Value::Float(spread(7) * 3.0))]);
    }
}

async fn predict(store: &Store, requests: &[Request]) {
    let save = |(number, request): (usize, &Request)| {
        let class = |number: usize| format!("class-{}", number % CLASSES);
        let actual = if number % WRONG_EVERY == WRONG_EVERY - 1 { class(number + 1) } else { class(number) };
        let document = doc! {
            "date": text(request.start), "error": "", "predictedValue": class(number), "trueValue": actual,
            "extra": { "score": 0.5 }, "versionId": VERSION, "versionName": VERSION,
        };
        store.save(PREDICTIONS, document)
    };
    let saves = stream::iter(requests.iter().enumerate().map(save)).buffer_unordered(CONCURRENT_SAVES);
    saves.for_each(async |saved| _ = saved.expect("the document can be saved")).await;
}
