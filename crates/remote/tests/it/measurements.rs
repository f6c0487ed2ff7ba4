//! One list of tests for measurements, on SQLite and on InfluxDB.

use krt_remote::{Influx, SPOOL_LIMIT};
use krt_servers::InfluxServer;
use krt_store::{Options, Order, Point, PointFilter, Reader, Store, Tags, Value, Writer};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    test_runner::TestRunner,
};
use std::{collections::BTreeMap, time::Duration};
use tempfile::TempDir;

/// A point for a test, with numbers as in JSON.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    time: i64,
    tags: Tags,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// A store that writes points to SQLite, or to InfluxDB.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) influx: Option<Influx>,
    pub(crate) folder: TempDir,
}

fn options() -> Options {
    Options { flush_interval: Duration::from_millis(10), ..Options::default() }
}

fn embedded() -> Fixture {
    let folder = TempDir::new().unwrap();
    let (store, writer) = Store::open(folder.path(), &options()).unwrap();
    Fixture { store, writer, influx: None, folder }
}

/// A store that writes points to the server at an address.
pub(crate) fn remote(url: &str, folder: TempDir, limit: u64) -> Fixture {
    let (influx, sink) = Influx::start(&url.into(), "shop", &folder.path().join("influx"), limit).unwrap();
    let (store, writer) = Store::open_with_sink(folder.path(), &options(), sink).unwrap();
    Fixture { store, writer, influx: Some(influx), folder }
}

impl Fixture {
    /// Writes all pending points, or leaves them on disk, and closes the store; returns the folder.
    pub(crate) async fn close(self) -> TempDir {
        let Self { store, writer, influx, folder } = self;
        drop(store);
        tokio::task::spawn_blocking(|| writer.close()).await.unwrap();
        if let Some(influx) = influx {
            influx.close().await;
        }
        folder
    }

    pub(crate) fn measure(
        &self,
        measurement: &str,
        time: i64,
        tags: &[(&str, &str)],
        fields: &[(&str, Value<'_>)],
    ) {
        self.store.measure(&Point { measurement, tags, fields, time }).unwrap();
    }
}

fn stored(folder: &TempDir, measurement: &str) -> Vec<Measured> {
    let reader = Reader::open(folder.path()).unwrap();
    let filter = PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() };
    let points = reader.points(&filter, Order::OldestFirst, usize::MAX).unwrap();
    let field = |value: &Value<'_>| match value {
        Value::Text(text) => Field::Text(text.to_string()),
        Value::Bool(truth) => Field::Bool(*truth),
        number => Field::Number(number.number().unwrap()),
    };
    let measured = |point: krt_store::StoredPoint| Measured {
        time: point.time,
        tags: (*point.tags).clone(),
        fields: point.fields.iter().map(|(name, value)| (name.clone(), field(value))).collect(),
    };
    points.into_iter().map(measured).collect()
}

/// InfluxDB's points of a measurement, by time.
async fn in_influx(server: &InfluxServer, user: Option<&str>, measurement: &str) -> Vec<Measured> {
    let name = measurement.replace('\\', r"\\").replace('"', r#"\""#);
    let answer = server.query("GET", "shop", user, &format!("SELECT * FROM \"{name}\" GROUP BY *")).await;
    let mut all = Vec::new();
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let tags = series["tags"].as_object().into_iter().flatten();
        let tags: Tags = tags
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        for row in series["values"].as_array().unwrap() {
            let columns = series["columns"].as_array().unwrap().iter().zip(row.as_array().unwrap()).skip(1);
            let fields = columns.filter_map(|(name, value)| Some((name.as_str()?.to_owned(), field(value)?)));
            all.push(Measured {
                time: row[0].as_i64().unwrap(),
                tags: tags.clone(),
                fields: fields.collect(),
            });
        }
    }
    all.sort_by_key(|point| point.time);
    all
}

fn field(value: &serde_json::Value) -> Option<Field> {
    Some(match value {
        serde_json::Value::String(text) => Field::Text(text.clone()),
        serde_json::Value::Bool(truth) => Field::Bool(*truth),
        number => Field::Number(number.as_f64()?),
    })
}

/// The number of points of a measurement.
pub(crate) async fn count(server: &InfluxServer, measurement: &str) -> usize {
    in_influx(server, None, measurement).await.len()
}

/// Writes the same points to both kinds of store; returns the points that each has.
async fn both(
    server: &InfluxServer,
    url: &str,
    user: Option<&str>,
    measurement: &str,
    points: &[Measured],
) -> (Vec<Measured>, Vec<Measured>) {
    let fixtures = [embedded(), remote(url, TempDir::new().unwrap(), SPOOL_LIMIT)];
    for point in points {
        let tags: Vec<_> = point.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let value = |field: &Field| match field {
            Field::Text(text) => Value::Text(text.clone().into()),
            Field::Number(number) => Value::Float(*number),
            Field::Bool(truth) => Value::Bool(*truth),
        };
        let fields: Vec<_> = point.fields.iter().map(|(name, field)| (name.as_str(), value(field))).collect();
        fixtures.iter().for_each(|fixture| fixture.measure(measurement, point.time, &tags, &fields));
    }
    let [here, there] = fixtures;
    let folder = here.close().await;
    there.close().await;
    (stored(&folder, measurement), in_influx(server, user, measurement).await)
}

fn names<T: std::fmt::Debug>(
    prefix: &'static str,
    value: impl Strategy<Value = T>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = BTreeMap<String, T>> {
    btree_map("[ab ,=é\"']{0,3}".prop_map(move |rest| format!("{prefix}{rest}")), value, count)
}

/// The type of a field is part of its name here, since InfluxDB refuses a second type.
fn measured() -> impl Strategy<Value = Measured> {
    let tags = names("t", "[a-c ,=é\"'\\\\]{0,4}[a-c=, ]", 0..3);
    let texts = names("x", "[a-c ,=é\"'\\\\\n]{0,6}".prop_map(Field::Text), 0..2);
    let numbers = names("n", any::<i32>().prop_map(|n| Field::Number(f64::from(n) / 8.0)), 0..2);
    let bools = names("b", any::<bool>().prop_map(Field::Bool), 1..3);
    (tags, texts, numbers, bools).prop_map(|(tags, texts, numbers, bools)| Measured {
        time: 0,
        // The line protocol cannot express a backslash before a character that it escapes.
        tags: tags.into_iter().map(|(name, value)| (name, value.replace('\\', "/"))).collect(),
        fields: texts.into_iter().chain(numbers).chain(bools).collect(),
    })
}

#[test]
fn points_agree() {
    let Some(server) = InfluxServer::start("points_agree", false) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("http://127.0.0.1:{}", server.port);
    let mut case = std::cell::Cell::new(0);
    let cases = (any::<prop::sample::Index>(), vec(measured(), 1..60));
    let ran = TestRunner::new(ProptestConfig::with_cases(40)).run(&cases, |(start, mut points)| {
        let measurement = format!("case {},=\"é{}", case.replace(case.get() + 1), start.index(10));
        points.iter_mut().zip(1_700_000_000_000_000_000..).for_each(|(point, time)| point.time = time);
        let (here, there) = runtime.block_on(both(&server, &url, None, &measurement, &points));
        prop_assert_eq!(&here, &points);
        prop_assert_eq!(here, there);
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    assert!(*case.get_mut() >= 40);
}

#[tokio::test]
async fn users_write_with_authentication_enabled() {
    let Some(server) = InfluxServer::start("users_write_with_authentication_enabled", true) else { return };
    let made =
        server.query("POST", "", None, "CREATE USER ada WITH PASSWORD 'p@ss' WITH ALL PRIVILEGES").await;
    assert!(made["error"].is_null(), "{made}");
    let point =
        Measured { time: 5, tags: Tags::new(), fields: [("n".to_owned(), Field::Number(1.5))].into() };
    let user = Some("ada:p@ss");
    let url = |password: &str| format!("http://ada:{password}@127.0.0.1:{}", server.port);
    let (here, there) = both(&server, &url("wrong"), user, "m", std::slice::from_ref(&point)).await;
    assert_eq!((here.len(), there.len()), (1, 0));
    let (here, there) = both(&server, &url("p%40ss"), user, "m", std::slice::from_ref(&point)).await;
    assert_eq!((here, there), (vec![point.clone()], vec![point]));
}

#[tokio::test]
async fn invalid_points_are_refused_by_both_stores() {
    let server = crate::recorder::Recorder::start(&[]).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    for fixture in [embedded(), remote(&url, TempDir::new().unwrap(), SPOOL_LIMIT)] {
        let number = |value: f64| [("f", Value::Float(value))];
        let refused = |measurement: &str, tags: &[(&str, &str)], fields: &[(&str, Value<'_>)]| {
            let point = Point { measurement, tags, fields, time: 0 };
            fixture.store.measure(&point).unwrap_err().to_string()
        };
        assert!(refused("", &[], &number(1.0)).contains("must not be empty"));
        assert!(refused("m", &[], &[]).contains("has no fields"));
        assert!(refused("m", &[], &number(f64::NAN)).contains("not a finite number"));
        assert!(refused("m", &[("", "x")], &number(1.0)).contains("an empty name"));
        fixture.close().await;
    }
    assert!(server.requests().is_empty());
}
