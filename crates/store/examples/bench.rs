//! What the store costs: `cargo run -p krt-store --release --example bench`.
//!
//! Prints processor time (all threads: the caller's and the writers') and, where one waits, time.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use bson::doc;
use futures::{StreamExt, TryStreamExt};
use krt_model::{
    log::Level,
    name::Name,
    request::{Ending, Hop, HopEnding, RequestRecord},
};
use krt_store::{
    FindLimits, LogFilter, LogRecord, Options, Order, PointFilter, Series, Store, Value, WindowQuery,
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const SECONDS: u64 = 5;
const RATE: u64 = 20_000;

fn main() -> Result {
    let folder = tempfile::tempdir()?;
    let (store, writer) = Store::open(folder.path(), &Options::default())?;
    requests(&store, folder.path(), "4 points", |_, _| {})?;
    requests(&store, folder.path(), "4 points and its record", |store, id| {
        store.request(&request_record(id));
    })?;
    requests(&store, folder.path(), "4 points and 1 log line", |store, id| {
        store.log(&record(id, "prediction made: class 7 with a probability of 0.93"));
    })?;
    flat_out(&store)?;
    logs(&store)?;
    search(&store)?;
    windows(&store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    for tasks in [1, 64] {
        runtime.block_on(saves(&store, tasks))?;
    }
    runtime.block_on(finds(&store))?;
    println!("dropped: {:?}", store.counters());
    writer.close();
    Ok(())
}

/// Processor time of all threads so far.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// The size of the telemetry, whether or not it is checkpointed.
fn size(folder: &Path) -> Result<i64> {
    let database = rusqlite::Connection::open(folder.join("telemetry.db"))?;
    let number = |pragma| database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    Ok(number("page_count")? * number("page_size")?)
}

/// The automatic measurements of a request through three nodes.
struct Automatic {
    nodes: Vec<Series>,
    workflow: Series,
}

impl Automatic {
    fn new(store: &Store) -> Result<Self> {
        let nodes = ["etl", "model", "output"].into_iter().map(|node| {
            store.series(
                "node_elapsed_time",
                &[("workflow", "predict"), ("version", "demo-v1"), ("node", node)],
            )
        });
        Ok(Self {
            nodes: nodes.collect::<std::result::Result<_, _>>()?,
            workflow: store
                .series("workflow_elapsed_time", &[("workflow", "predict"), ("version", "demo-v1")])?,
        })
    }

    fn measure(&self, request: &str, time: i64) -> Result {
        for (index, node) in (1..).zip(&self.nodes) {
            let elapsed = (time % 977_000 + index * 31_000) as f64 / 1e6;
            node.point(
                time,
                &[
                    ("tracking_id", request.into()),
                    ("node_from", "entrypoint".into()),
                    ("elapsed_ms", elapsed.into()),
                    ("waiting_ms", Value::Float((time % 53_000) as f64 / 1e6)),
                ],
            )?;
        }
        let fields =
            [("tracking_id", request.into()), ("elapsed_ms", Value::Float((time % 3_000_000) as f64 / 1e6))];
        Ok(self.workflow.point(time, &fields)?)
    }
}

fn record<'a>(request: &'a str, message: &'a str) -> LogRecord<'a> {
    LogRecord {
        time: now(),
        level: Level::Info,
        version: "demo-v1",
        workflow: Some("predict"),
        node: Some("model"),
        request: Some(request),
        message,
    }
}

/// Through three nodes.
fn request_record(id: &str) -> RequestRecord {
    let (time, name) = (now(), |text| Name::parse(text).expect("the names are good"));
    let hop = |(node, position): (Name, usize)| Hop {
        node,
        position,
        posted: position as i64 * 700_000 + 20_000,
        start: position as i64 * 700_000 + 90_000,
        end: position as i64 * 700_000 + 650_000 + time % 9_000,
        encode: 0,
        decode: 0,
        ending: HopEnding::Returned,
    };
    let nodes = ["etl", "model", "output"].map(name);
    RequestRecord {
        elapsed: (time % 3_000_000).unsigned_abs(),
        ending: Ending::Answered,
        request_bytes: 400,
        answer_bytes: Some(20),
        stream: None,
        hops: nodes.into_iter().zip(0..).map(hop).collect(),
        ..RequestRecord::new(id.into(), name("demo-v1"), name("predict"), time)
    }
}

/// Requests at a steady rate, each with four points and something more.
fn requests(store: &Store, folder: &Path, what: &str, more: impl Fn(&Store, &str)) -> Result {
    let automatic = Automatic::new(store)?;
    let before = size(folder)?;
    let idle = pace(|_| Ok(()))?;
    let used = pace(|request| {
        automatic.measure(request, now())?;
        more(store, request);
        Ok(())
    })?;
    let count = SECONDS * RATE;
    let cost = used.saturating_sub(idle);
    println!(
        "request at {RATE}/s, {what}: {:.2} µs processor, {} bytes on disk",
        micros(cost, count),
        (size(folder)? - before) / count.cast_signed(),
    );
    Ok(())
}

/// Does something at the rate and gives the processor time of all of it; ids of requests included.
fn pace(mut work: impl FnMut(&str) -> Result) -> Result<Duration> {
    let (start, processor_before) = (Instant::now(), processor());
    for done in 0..SECONDS * RATE {
        let due = start + Duration::from_nanos(done * 1_000_000_000 / RATE);
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early.max(Duration::from_millis(1)));
        }
        let mut buffer = Uuid::encode_buffer();
        work(Uuid::now_v7().hyphenated().encode_lower(&mut buffer))?;
    }
    thread::sleep(Duration::from_secs(1));
    Ok(processor() - processor_before)
}

/// What the caller alone pays for a point.
fn flat_out(store: &Store) -> Result {
    let automatic = Automatic::new(store)?;
    let requests = 5000;
    let request = Uuid::now_v7().to_string();
    let start = Instant::now();
    for _ in 0..requests {
        automatic.measure(&request, 1_700_000_000_123_456_789)?;
    }
    println!("point, the caller's part: {:.3} µs", micros(start.elapsed(), requests * 4));
    Ok(())
}

/// A million log lines.
fn logs(store: &Store) -> Result {
    let before = processor();
    let mut buffer = Uuid::encode_buffer();
    for n in 0..1_000_000_u64 {
        let message = format!("line {n}: handled an item of the batch, nothing unusual");
        store.log(&record(Uuid::now_v7().hyphenated().encode_lower(&mut buffer), &message));
        if n % 20_000 == 0 {
            thread::sleep(Duration::from_millis(60));
        }
    }
    thread::sleep(Duration::from_secs(2));
    println!("log line: {:.2} µs processor, id and text included", micros(processor() - before, 1_000_000));
    Ok(())
}

/// Searches through the million lines.
fn search(store: &Store) -> Result {
    let searches = [
        ("a rare text", LogFilter { text: Some("LINE 777777:".into()), ..LogFilter::default() }),
        ("a text that is not there", LogFilter { text: Some("nowhere".into()), ..LogFilter::default() }),
        ("a text on every line", LogFilter { text: Some("batch".into()), ..LogFilter::default() }),
        ("a level", LogFilter { level: Some(Level::Error), ..LogFilter::default() }),
        ("a node that is not there", LogFilter { node: Some("nobody".into()), ..LogFilter::default() }),
    ];
    for (what, filter) in searches {
        let start = Instant::now();
        let found = store.reader().logs(&filter, 100)?.records.len();
        println!(
            "search 1,000,000 lines for {what}: {:.0} ms, {found} found",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// Sums up all that was measured.
fn windows(store: &Store) -> Result {
    let start = Instant::now();
    let query = WindowQuery {
        points: PointFilter { measurement: "node_elapsed_time".into(), ..PointFilter::default() },
        field: "elapsed_ms".into(),
        every: Duration::from_secs(1),
        group_by: vec!["node".into()],
    };
    let values: u64 = store.reader().windows(&query)?.iter().map(|window| window.count).sum();
    println!("windows of a second over {values} values: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let points = store.reader().points(&query.points, Order::NewestFirst, 100)?.len();
    println!("the newest {points} points: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

async fn saves(store: &Store, tasks: usize) -> Result {
    let count = if tasks == 1 { 2000 } else { 50_000 };
    let (start, before) = (Instant::now(), processor());
    let save = |n: i32| {
        let store = store.clone();
        async move {
            let start = Instant::now();
            let document = doc! { "n": n, "text": "a document of usual size", "list": [1, 2, 3], "nested": { "a": 1.5 } };
            store.save("bench", document).await.map(|_| start.elapsed())
        }
    };
    let mut times: Vec<_> = futures::stream::iter(0..count)
        .map(|n| tokio::spawn(save(n)))
        .buffer_unordered(tasks)
        .try_collect::<Vec<_>>()
        .await?
        .into_iter()
        .collect::<std::result::Result<_, _>>()?;
    times.sort();
    let count = times.len() as u64;
    println!(
        "save, {tasks} at a time: {:.0}/s, {:.1} µs processor, p50 {:.0} µs, p99 {:.0} µs",
        count as f64 / start.elapsed().as_secs_f64(),
        micros(processor() - before, count),
        micros(times[times.len() / 2], 1),
        micros(times[times.len() * 99 / 100], 1),
    );
    Ok(())
}

async fn finds(store: &Store) -> Result {
    let searches = [
        ("one of 52,000 by a field", doc! { "n": 31_337 }),
        ("by a regular expression", doc! { "text": { "$regex": "SIZE$", "$options": "i" }, "n": -1 }),
        ("all 52,000", doc! {}),
    ];
    for (what, query) in searches {
        let start = Instant::now();
        let found = store
            .reader()
            .find("bench", &query, FindLimits::default())?
            .try_fold(0, |n, _| async move { Ok(n + 1) })
            .await?;
        println!("find {what}: {:.1} ms, {found} found", start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}
