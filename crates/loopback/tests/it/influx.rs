//! Measurements from InfluxDB's clients and from krt's own writer.

use crate::clients;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use krt_compression::Codec;
use krt_loopback::influx::Server;
use krt_remote::{Influx, SPOOL_LIMIT};
use krt_store::{Options, Order, Point, PointFilter, Store, StoredPoint, Value, Writer};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server with its own store.
struct Fixture {
    url: String,
    token: String,
    store: Store,
    writer: Writer,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(folder.path(), &Options::default()).unwrap();
        let server = Server::bind(store.clone()).await.unwrap();
        let (url, token, shutdown) = (server.url(), server.token().to_owned(), CancellationToken::new());
        let serving = tokio::spawn(server.run(shutdown.clone()));
        Self { url, token, store, writer, shutdown, serving, _folder: folder }
    }

    /// The server's URL without the token.
    fn origin(&self) -> &str {
        self.url.rsplit_once('/').unwrap().0
    }

    async fn points(&self, measurement: &str) -> Vec<StoredPoint> {
        self.store.flush().await.unwrap();
        let (reader, measurement) = (self.store.reader().clone(), measurement.to_owned());
        let filter = PointFilter { measurement, ..PointFilter::default() };
        let read = move || reader.points(&filter, Order::OldestFirst, 10_000).unwrap();
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, String) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut request = Request::builder().method(Method::POST).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
        drop(self.store);
        tokio::task::spawn_blocking(|| self.writer.close()).await.unwrap();
    }
}

fn gzip(text: &str) -> Vec<u8> {
    Codec::Gzip.compress(text.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_both_endpoints() {
    let served = Fixture::start().await;
    let url = &served.url;
    let many: String = (0..3000).map(|number| format!("many number={number}i {number}\n")).collect();
    let cases = [
        (format!("{url}/api/v2/write?org=&bucket=shop&precision=ms"), "one,a=b f=1,t=\"x\" 7".to_owned()),
        (format!("{url}/write?db=shop&precision=s"), "one f=2 8\n# the end\n".to_owned()),
        (format!("{url}/write?db=shop"), many),
        (format!("{url}/write?db=shop"), String::new()),
    ];
    for (url, body) in cases {
        assert_eq!(served.post(&url, &[], body).await, (StatusCode::NO_CONTENT, String::new()), "{url}");
    }
    let ones: Vec<_> =
        served.points("one").await.into_iter().map(|point| (point.time, point.fields)).collect();
    let fields = |pairs: &[(&str, Value<'static>)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let expected = [
        (7_000_000, fields(&[("f", Value::Float(1.0)), ("t", "x".into())])),
        (8_000_000_000, fields(&[("f", Value::Float(2.0))])),
    ];
    assert_eq!(ones, expected);
    assert_eq!(served.points("many").await.len(), 3000);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzipped_body_is_read_whole_or_not_at_all() {
    let served = Fixture::start().await;
    let url = format!("{}/write?db=shop", served.url);
    let lines = |name: &str| (0..2000).map(|at| format!("{name} f={at}i {at}\n")).collect::<String>();
    let members = [gzip(&lines("first")), gzip(&lines("second"))].concat();
    let headers = [("content-encoding", "gzip")];
    assert_eq!(served.post(&url, &headers, members.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(served.points("first").await.len(), 2000);
    assert_eq!(served.points("second").await.len(), 2000);
    let cut = gzip(&lines("cut"));
    let (status, said) = served.post(&url, &headers, cut[..cut.len() / 2].to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said.contains("gzip"), "{said}");
    assert!(served.points("cut").await.is_empty());
    let (status, _) = served.post(&url, &[("content-encoding", "br")], "m f=1").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = "m f=1\n".repeat(5_000_000);
    assert_eq!(served.post(&url, &headers, gzip(&large)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_points_are_reported() {
    let served = Fixture::start().await;
    let url = format!("{}/api/v2/write?bucket=shop", served.url);
    let long = "x".repeat(100_000);
    for (body, expected) in [
        ("m".to_owned(), "unable to parse 'm': missing fields"),
        (
            "m f=1 1\nm f=x\nm f=2 2".to_owned(),
            "partial write: unable to parse 'm f=x': invalid boolean dropped=0",
        ),
        (format!("n f=1 1\nn f=\"{long}\" 2"), "at most 65536 are stored dropped=1"),
    ] {
        let (status, said) = served.post(&url, &[], body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        for field in ["error", "message"] {
            assert!(said[field].as_str().unwrap().ends_with(expected), "{said}");
        }
        assert_eq!(said["code"], "invalid");
    }
    assert_eq!((served.points("m").await.len(), served.points("n").await.len()), (2, 1));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthorized_clients_cannot_write() {
    let served = Fixture::start().await;
    let open = format!("{}/api/v2/write?bucket=shop", served.origin());
    for header in [None, Some("Token "), Some("Token wrong"), Some("Basic a3J0Og==")] {
        let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        let (status, said) = served.post(&open, &headers, "m f=1").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{header:?} {said}");
    }
    assert!(served.points("m").await.is_empty());
    let token = format!("Token {}", served.token);
    let answer = served.post(&open, &[("authorization", &token)], "m f=1").await;
    assert_eq!(answer.0, StatusCode::NO_CONTENT);
    let user = format!("{}/write?db=shop&u=krt&p={}", served.origin(), served.token);
    assert_eq!(served.post(&user, &[], "m f=2").await.0, StatusCode::NO_CONTENT);
    assert_eq!(served.points("m").await.len(), 2);
    let query = format!("{}/query?db=shop&q=SELECT%20*%20FROM%20m", served.url);
    let (status, said) = served.post(&query, &[], "").await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    assert!(said.contains("krt data measurements"), "{said}");
    served.end().await;
}

/// krt's own writer, with names that its lines can express.
#[tokio::test(flavor = "multi_thread")]
async fn points_written_by_krt_are_read() {
    let served = Fixture::start().await;
    let folder = tempfile::tempdir().unwrap();
    let address = served.url.as_str().into();
    let (influx, sink) = Influx::start(&address, "shop", &folder.path().join("influx"), SPOOL_LIMIT).unwrap();
    let (store, writer) = Store::open_with_sink(folder.path(), &Options::default(), sink).unwrap();
    let names = ["a b,c=d", "é \"quoted\"", r"C:\dir", "#", "tab\there", "x=y"];
    let texts = ["", "say \"a\\b\"\n, = ", "\\", "日本 #", "\r\n"];
    let mut expected = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for (and, text) in texts.iter().enumerate() {
            let time = i64::try_from(at * texts.len() + and).unwrap() - 7;
            let fields = [
                (*name, Value::from(*text)),
                ("int", Value::Int(i64::MIN + time.abs())),
                ("float", Value::Float(1.0 / (time as f64 + 0.5))),
                ("bool", (time % 2 == 0).into()),
            ];
            let tags = [(*name, *name), ("version", "shop-v1")];
            store.measure(&Point { measurement: "own", tags: &tags, fields: &fields, time }).unwrap();
            expected.push((time, (*name).to_owned(), (*text).to_owned()));
        }
    }
    drop(store);
    tokio::task::spawn_blocking(|| writer.close()).await.unwrap();
    influx.close().await;
    let points = served.points("own").await;
    assert_eq!(points.len(), expected.len());
    for (point, (time, name, text)) in points.iter().zip(&expected) {
        assert_eq!(point.time, *time);
        assert_eq!(point.fields[name], Value::from(text.as_str()), "{point:?}");
        assert_eq!(point.fields["float"], Value::Float(1.0 / (*time as f64 + 0.5)));
        assert_eq!(point.fields["int"], Value::Int(i64::MIN + time.abs()));
        let tags: Vec<_> = point.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(tags.contains(&(name.as_str(), name.as_str())), "{point:?}");
    }
    served.end().await;
}

/// A client in another language runs all of `tests/clients`.
async fn client(program: Option<Vec<PathBuf>>, name: &str) {
    let Some(program) = program else { return };
    let served = Fixture::start().await;
    let said = clients::run(&program, &[&served.url]).await;
    assert!(said.starts_with(name), "{said}");
    let many = served.points("many").await;
    let first = (1_700_000_000_000_000_000, Value::Int(0), Some("a, b=c"));
    let found =
        (many[0].time, many[0].fields["number"].clone(), many[0].tags.get("kind").map(String::as_str));
    // The request with an invalid line added one more.
    assert_eq!((many.len(), found), (121, first));
    let one = served.points("one, two").await;
    assert_eq!(one[0].time, 1_709_209_815_250_000_000);
    assert_eq!(one[0].fields["text"], Value::from("say \"a\\b\", é"));
    assert_eq!((&one[0].fields["truth"], &one[0].fields["half"]), (&true.into(), &0.5.into()));
    assert_eq!(one[0].tags.get("version").map(String::as_str), Some("shop-v1"));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb_client_for_python() {
    let packages = ["influxdb-client==1.9.0", "setuptools==75.8.0"];
    client(clients::python("influx.py", &packages), "influxdb_client 1.9").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb_client_for_go_1() {
    client(clients::go("influx1", "old.mod").await, "influxdb-client-go 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb_client_for_go_2() {
    client(clients::go("influx2", "go.mod").await, "influxdb-client-go 2").await;
}
