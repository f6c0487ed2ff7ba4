//! Measurements and logs, from the writer to the reader.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use krt_model::log::Level;
use krt_store::{
    Error, LogFilter, LogRecord, Options, Order, Point, PointError, PointFilter, Reader, Retention, Store,
    Tags, Value, WindowQuery, Writer,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, time::Duration};
use tempfile::TempDir;

struct Fixture {
    _folder: TempDir,
    store: Store,
    _writer: Writer,
}

/// Without retention limits, since the times here are long ago.
fn options() -> Options {
    Options { retention: Retention { age: None, size: None, ..Retention::default() }, ..Options::default() }
}

fn fixture() -> Fixture {
    let folder = TempDir::new().unwrap();
    let (store, writer) = Store::open(folder.path(), &options()).unwrap();
    Fixture { _folder: folder, store, _writer: writer }
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn filter(measurement: &str) -> PointFilter {
    PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() }
}

#[tokio::test]
async fn points_are_read_as_they_were_measured() {
    let Fixture { store, .. } = &fixture();
    let fields = [("text", "é".into()), ("int", 5_i64.into()), ("float", 0.25.into()), ("yes", true.into())];
    let point = Point { measurement: "m", tags: &[("b", "2"), ("a", "1")], fields: &fields, time: 7 };
    store.measure(&point).unwrap();
    let series = store.series("m", &[("a", "1"), ("b", "2")]).unwrap();
    series.point(-3, &[("int", 6_i64.into())]).unwrap();
    store.series("other", &[]).unwrap().point(9, &[("x", 1.0.into())]).unwrap();
    store.flush().await.unwrap();

    let reader = store.reader();
    assert_eq!(reader.measurements().unwrap(), ["m", "other"]);
    let infos = reader.series("m").unwrap();
    assert_eq!(infos.len(), 1, "the order of tags does not matter");
    assert_eq!((infos[0].points, infos[0].first, infos[0].last), (2, -3, 7));
    assert_eq!(*infos[0].tags, tags(&[("a", "1"), ("b", "2")]));

    let points = reader.points(&filter("m"), Order::OldestFirst, 10).unwrap();
    assert_eq!(points.iter().map(|point| point.time).collect::<Vec<_>>(), [-3, 7]);
    let expected: BTreeMap<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(points[1].fields, expected);
}

#[test]
fn bad_points_are_refused_by_name() {
    let Fixture { store, .. } = &fixture();
    let measure = |measurement: &str, tags: &[(&str, &str)], fields: &[(&str, Value<'_>)]| {
        store.measure(&Point { measurement, tags, fields, time: 0 }).unwrap_err()
    };
    let one = [("f", Value::Int(1))];
    assert_eq!(measure("", &[], &one), PointError::NoName);
    assert_eq!(measure("m", &[], &[]), PointError::NoFields { measurement: "m".into() });
    assert_eq!(measure("m", &[("", "x")], &one), PointError::EmptyName { measurement: "m".into() });
    assert_eq!(measure("m", &[], &[("", Value::Int(1))]), PointError::EmptyName { measurement: "m".into() });
    for number in [f64::NAN, f64::INFINITY] {
        let error = measure("m", &[], &[("rate", number.into())]);
        assert_eq!(error.to_string(), "the field `rate` of `m` is not a finite number");
    }
    let long = "x".repeat(100_000);
    assert!(
        matches!(measure("m", &[], &[("f", long.as_str().into())]), PointError::TooLong { name, .. } if name == "f")
    );
    assert!(matches!(measure("m", &[("tag", &long)], &one), PointError::TooLong { .. }));
    let names: Vec<_> = (0..256).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), Value::Int(1))).collect();
    assert!(matches!(measure("m", &[], &many), PointError::TooManyFields { count: 256, .. }));
}

/// Points of a few series, flushed now and then, so that they are in many chunks.
async fn scatter(store: &Store, points: &[(i64, u8)]) {
    for (index, (time, node)) in points.iter().enumerate() {
        let node = node.to_string();
        let fields = [("index", Value::Int(index as i64))];
        store
            .measure(&Point { measurement: "m", tags: &[("node", &node)], fields: &fields, time: *time })
            .unwrap();
        if index % 7 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn points_are_found_by_time_and_tag(
        points in vec((-50_i64..50, 0..3_u8), 0..60),
        from in proptest::option::of(-60_i64..60),
        to in proptest::option::of(-60_i64..60),
        node in proptest::option::of(0..4_u8),
        limit in 0..40_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Fixture { store, .. } = &fixture();
        runtime.block_on(scatter(store, &points));
        let fits = |(time, of): &&(i64, u8)| {
            from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to) && node.is_none_or(|node| *of == node)
        };
        let mut times: Vec<_> = points.iter().filter(fits).map(|(time, _)| *time).collect();
        times.sort_unstable();

        let tags = node.map(|node| ("node".to_owned(), node.to_string())).into_iter().collect();
        let filter = PointFilter { tags, from, to, ..filter("m") };
        let read = |order| -> Vec<i64> {
            store.reader().points(&filter, order, limit).unwrap().iter().map(|point| point.time).collect()
        };
        prop_assert_eq!(read(Order::OldestFirst), &times[..limit.min(times.len())]);
        times.reverse();
        prop_assert_eq!(read(Order::NewestFirst), &times[..limit.min(times.len())]);
    }
}

#[tokio::test]
async fn windows_sum_up() {
    let Fixture { store, .. } = &fixture();
    let second = 1_000_000_000;
    for node in ["a", "b"] {
        let series = store.series("m", &[("node", node), ("version", "v1")]).unwrap();
        for n in 0..200 {
            let value = if node == "a" { Value::Float(n as f64) } else { Value::Int(n) };
            series.point(n * second / 10, &[("ms", value), ("id", "text".into())]).unwrap();
        }
    }
    store.flush().await.unwrap();
    let query = WindowQuery {
        points: PointFilter { from: Some(0), to: Some(15 * second), ..filter("m") },
        field: "ms".into(),
        every: Duration::from_secs(10),
        group_by: vec!["node".into()],
    };
    let windows = store.reader().windows(&query).unwrap();
    let seen: Vec<_> = windows
        .iter()
        .map(|window| (window.group["node"].as_str(), window.start / second, window.count))
        .collect();
    assert_eq!(seen, [("a", 0, 100), ("a", 10, 50), ("b", 0, 100), ("b", 10, 50)]);
    let first = &windows[0];
    assert_eq!((first.min, first.max, first.sum, first.mean()), (0.0, 99.0, 4950.0, 49.5));
    assert_eq!((first.p50, first.p95, first.p99), (49.0, 94.0, 98.0));

    let all = WindowQuery { group_by: vec![], ..query.clone() };
    assert_eq!(store.reader().windows(&all).unwrap()[0].count, 200);
    let text = WindowQuery { field: "id".into(), ..query.clone() };
    assert!(store.reader().windows(&text).unwrap().is_empty());
    let nanos = WindowQuery { every: Duration::from_nanos(1), ..query };
    assert_eq!(store.reader().windows(&nanos).unwrap().len(), 300);
}

#[tokio::test]
async fn too_many_windows_are_refused() {
    let Fixture { store, .. } = &fixture();
    let series = store.series("m", &[]).unwrap();
    for n in 0..krt_store::MAX_WINDOWS as i64 + 1 {
        series.point(n, &[("f", 1_i64.into())]).unwrap();
        if n % 20_000 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    let query = WindowQuery {
        points: filter("m"),
        field: "f".into(),
        every: Duration::from_nanos(1),
        group_by: vec![],
    };
    let error = store.reader().windows(&query).unwrap_err();
    assert!(matches!(error, Error::Point(PointError::TooManyWindows { .. })), "{error}");
}

fn record(time: i64, level: Level, message: &str) -> LogRecord<'_> {
    LogRecord {
        time,
        level,
        version: "v1",
        workflow: Some("w"),
        node: Some("n"),
        request: Some("r"),
        message,
    }
}

/// More records than one thread scans: rare ones are found anywhere, in order, page by page.
#[tokio::test]
async fn a_long_log_is_searched_to_its_end() {
    const RARE: usize = 7001;
    let folder = TempDir::new().unwrap();
    let options = Options { buffer: 64 << 20, ..options() };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    let count = 300_000;
    for time in 0..count {
        let rare = time % RARE == 0;
        let (level, message) = if rare { (Level::Error, "A rare one") } else { (Level::Info, "as usual") };
        store.log(&record(time.try_into().unwrap(), level, message));
    }
    writer.close();
    assert_eq!(store.counters().logs_dropped, 0);
    let wanted: Vec<i64> = (0..count).step_by(RARE).map(|time| time.try_into().unwrap()).collect();
    let text = || LogFilter { text: Some("rare".into()), ..LogFilter::default() };
    let grave = LogFilter { level: Some(Level::Error), ..LogFilter::default() };
    for mut filter in [text(), grave, LogFilter { request: Some("r".into()), ..text() }] {
        let mut found = Vec::new();
        loop {
            let page = store.reader().logs(&filter, 10).unwrap().records;
            let Some(oldest) = page.first() else { break };
            filter.before = Some(oldest.id);
            found.splice(0..0, page.iter().map(|record| record.time));
        }
        assert_eq!(found, wanted, "{filter:?}");
    }
    let some = LogFilter { from: Some(100_000), to: Some(200_000), ..text() };
    let times: Vec<_> =
        store.reader().logs(&some, 1000).unwrap().records.iter().map(|one| one.time).collect();
    assert_eq!(
        times,
        wanted.into_iter().filter(|time| (100_000..200_000).contains(time)).collect::<Vec<_>>()
    );
    let none = LogFilter { text: Some("nothing like it".into()), ..LogFilter::default() };
    assert_eq!(store.reader().logs(&none, 10).unwrap().records, []);
}

#[tokio::test]
async fn logs_are_searched() {
    let Fixture { store, .. } = &fixture();
    store.log(&record(10, Level::Info, "Started the Ünit"));
    store.log(&record(20, Level::Warn, "slow"));
    store.log(&LogRecord {
        node: None,
        workflow: None,
        request: None,
        ..record(30, Level::Error, "Traceback:\n  boom")
    });
    store.log(&LogRecord { version: "v2", request: Some("other"), ..record(40, Level::Debug, "100% sure_") });
    store.flush().await.unwrap();
    let times = |filter: LogFilter, limit| -> Vec<i64> {
        store.reader().logs(&filter, limit).unwrap().records.iter().map(|record| record.time).collect()
    };
    let all = LogFilter::default;
    assert_eq!(times(all(), 10), [10, 20, 30, 40]);
    assert_eq!(times(all(), 2), [30, 40]);
    let text = |text: &str| times(LogFilter { text: Some(text.into()), ..all() }, 10);
    assert_eq!(text("STARTED"), [10]);
    assert_eq!(text("ünIT"), [10]);
    assert_eq!(text("boom"), [30]);
    assert_eq!(text("100%"), [40]);
    assert!(text("sure.").is_empty());
    assert_eq!(text(""), [10, 20, 30, 40]);
    assert_eq!(times(LogFilter { level: Some(Level::Warn), ..all() }, 10), [20, 30]);
    assert_eq!(times(LogFilter { node: Some("n".into()), ..all() }, 10), [10, 20, 40]);
    assert!(times(LogFilter { workflow: Some("x".into()), ..all() }, 10).is_empty());
    assert_eq!(times(LogFilter { version: Some("v2".into()), ..all() }, 10), [40]);
    assert_eq!(times(LogFilter { request: Some("r".into()), ..all() }, 10), [10, 20]);
    assert_eq!(times(LogFilter { from: Some(20), to: Some(40), ..all() }, 10), [20, 30]);
    assert!(times(LogFilter { from: Some(41), ..all() }, 10).is_empty());
    assert_eq!(
        times(LogFilter { from: Some(20), level: Some(Level::Warn), text: Some("O".into()), ..all() }, 1),
        [30]
    );
    let error = store.reader().logs(&LogFilter { text: Some("x".repeat(5000)), ..all() }, 1).unwrap_err();
    assert!(matches!(error, Error::Filter(_)), "{error}");
}

#[tokio::test]
async fn a_file_without_the_latest_indexes_is_read_and_gets_them() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = Store::open(folder.path(), &options()).unwrap();
    store.log(&record(10, Level::Error, "boom"));
    writer.close();
    let file = rusqlite::Connection::open(folder.path().join("telemetry.db")).unwrap();
    file.execute_batch("DROP INDEX log_request; DROP INDEX log_grave").unwrap();
    let indexes = || {
        let count = "SELECT count(*) FROM sqlite_schema WHERE name IN ('log_request', 'log_grave')";
        file.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let searches = [
        LogFilter { request: Some("r".into()), ..LogFilter::default() },
        LogFilter { level: Some(Level::Error), ..LogFilter::default() },
    ];
    let found =
        |reader: &Reader| searches.each_ref().map(|filter| reader.logs(filter, 10).unwrap().records.len());
    assert_eq!(found(&Reader::open(folder.path()).unwrap()), [1, 1]);
    assert_eq!(indexes(), 0, "who reads changes nothing");
    let (store, _writer) = Store::open(folder.path(), &options()).unwrap();
    assert_eq!((found(store.reader()), indexes()), ([1, 1], 2));
}

#[tokio::test]
async fn points_are_found_by_the_text_of_a_field() {
    let Fixture { store, .. } = &fixture();
    let series = store.series("m", &[("a", "1")]).unwrap();
    for (time, id) in [(3, "x"), (1, "y"), (2, "x"), (9, "x")] {
        series.point(time, &[("id", id.into()), ("value", time.into())]).unwrap();
    }
    store.series("m", &[]).unwrap().point(4, &[("id", 5_i64.into()), ("value", 0.5.into())]).unwrap();
    store.flush().await.unwrap();
    let until = PointFilter { to: Some(9), ..filter("m") };
    let named = |text, limit| -> Vec<i64> {
        let points = store.reader().points_that_name(&until, "id", text, limit).unwrap();
        assert!(points.iter().all(|point| point.fields.len() == 2), "all fields are kept");
        points.iter().map(|point| point.time).collect()
    };
    assert_eq!((named("x", 9), named("x", 1), named("5", 9)), (vec![2, 3], vec![2], vec![]));
    let fields = store.reader().numeric_fields("m").unwrap();
    assert_eq!(fields.iter().collect::<Vec<_>>(), ["id", "value"]);
    assert!(store.reader().numeric_fields("other").unwrap().is_empty());
}

#[tokio::test]
async fn a_log_is_followed() {
    let Fixture { store, .. } = &fixture();
    let reader = store.reader();
    let errors = LogFilter { level: Some(Level::Error), ..LogFilter::default() };
    let mut last = reader.logs(&errors, 10).unwrap().last;
    let mut seen = Vec::new();
    for round in 0..5 {
        for n in 0..10 {
            let level = if n % 3 == 0 { Level::Error } else { Level::Info };
            store.log(&record(round * 10 + n, level, "x"));
        }
        store.flush().await.unwrap();
        loop {
            let page = reader.logs_after(last, &errors, 3).unwrap();
            last = page.last;
            seen.extend(page.records.iter().map(|record| record.time));
            if page.records.is_empty() {
                break;
            }
        }
    }
    let expected: Vec<_> = (0..50).filter(|time| time % 10 % 3 == 0).collect();
    assert_eq!(seen, expected);
    assert_eq!(reader.logs_after(last, &LogFilter::default(), 3).unwrap().records, []);
}

/// A page reports how far it searched: the next page must neither repeat nor miss a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_consistent_while_records_arrive() {
    const RECORDS: i64 = 20_000;
    let Fixture { store, .. } = &fixture();
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 1..=RECORDS {
                store.log(&record(n, Level::Info, "x"));
                if n % 20 == 0 {
                    store.flush().await.unwrap();
                }
            }
        })
    };
    let (reader, since) = (store.reader(), LogFilter { from: Some(1), ..LogFilter::default() });
    let mut pages = 0;
    while !writing.is_finished() {
        let page = reader.logs(&since, 5).unwrap();
        let newest = page.records.last().map_or(0, |record| record.id);
        assert_eq!(newest, page.last, "page {pages}");
        pages += 1;
    }
    writing.await.unwrap();
    assert_eq!(reader.logs(&since, 5).unwrap().last, RECORDS);
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted() {
    let folder = TempDir::new().unwrap();
    let options = Options { buffer: 64 << 10, ..options() };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    let text = "x".repeat(10_000);
    let series = store.series("m", &[]).unwrap();
    for _ in 0..2000 {
        series.point(0, &[("text", text.as_str().into())]).unwrap();
        store.log(&record(0, Level::Info, &text));
    }
    store.flush().await.unwrap();
    let counters = store.counters();
    assert!(counters.points_dropped > 0 && counters.logs_dropped > 0, "{counters:?}");
    assert_eq!(counters.points_written + counters.points_dropped, 2000);
    assert_eq!(counters.logs_written + counters.logs_dropped, 2000);
    assert_eq!(store.reader().series("m").unwrap()[0].points, counters.points_written);
    let logs = store.reader().logs(&LogFilter::default(), 5000).unwrap();
    assert_eq!(logs.records.len() as u64, counters.logs_written);
    writer.close();
}

#[tokio::test]
async fn pending_data_is_written_at_the_end() {
    let folder = TempDir::new().unwrap();
    let options = Options { flush_interval: Duration::from_secs(3600), ..options() };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    store.series("m", &[]).unwrap().point(1, &[("f", 1_i64.into())]).unwrap();
    store.log(&record(1, Level::Info, "the end"));
    writer.close();
    let reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.points(&filter("m"), Order::NewestFirst, 9).unwrap().len(), 1);
    assert_eq!(reader.logs(&LogFilter::default(), 9).unwrap().records.len(), 1);
    assert!(
        !folder.path().join("telemetry.db-wal").exists()
            || std::fs::metadata(folder.path().join("telemetry.db-wal")).unwrap().len() == 0
    );
}
