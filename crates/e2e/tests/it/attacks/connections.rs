//! Clients that never read, never send, arrive in large numbers, or flood HTTP/2.
//!
//! Bound: the engine's memory stays within `--max-bytes` and 64 MiB, and its descriptors return to their
//! earlier number; the service and its dashboard answer during each attack, or as soon as the timeout is
//! over.

use super::{
    held_within,
    raw::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, Raw,
        SETTINGS, WINDOW_UPDATE, block, call, frame, unary,
    },
};
use crate::support::{
    Krt, Service, actor, eventually, grpc::is_of_the_transport, http::Http, team, team::Team,
};
use futures::future::join_all;
use http::{Method, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::net::SocketAddr;
use tonic::Code;

const MAX_BYTES: u64 = 64 << 20;
const ACT: &str = "/actor.Entrypoint/Act";

/// An act with an answer of 8 MiB.
const ACTS: &str = "

async def large():
    return \"x\" * (8 << 20)


ACTS.update(large=large)
";

/// Adds limits that attacks reach quickly.
fn bounded(krt: Krt) -> Krt {
    krt.flag("--max-bytes", "64MiB").flag("--header-timeout", "2").flag("--idle-timeout", "3")
}

/// Raises this test's own limit of open files.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// The number of open descriptors of a process.
fn open(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

async fn hello(service: &Service) -> Result<serde_json::Value, tonic::Status> {
    service.client().call("Act", json!({ "text": "hello" })).await
}

/// Asserts that an honest client is served during an attack. The client reconnects if its connection was dropped: by
/// the idle timeout, or by the kernel because attackers filled the listener's backlog.
async fn served_among(service: &Service, attack: &str) {
    let served = async || match hello(service).await {
        Err(status) if is_of_the_transport(&status) => None,
        answer => Some(answer.unwrap_or_else(|status| panic!("{attack}: an honest client: {status}"))),
    };
    eventually(&format!("{attack}: an honest client connects"), served).await;
}

/// Waits until an attack has left no trace: descriptors are as before, and memory was within its bound.
async fn recovered(service: &Service, before: usize) {
    let served = async || hello(service).await.ok();
    eventually("a good client is served", served).await;
    let as_before = async || (open(service.pid()) <= before + 2).then_some(());
    eventually("the descriptors are as before", as_before).await;
    held_within(service, MAX_BYTES);
}

fn http1(text: &str) -> Vec<u8> {
    let body = json!({ "text": text }).to_string();
    let length = body.len();
    format!("POST {ACT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

/// An answer that has begun, and that its client does not read.
#[derive(Debug, Clone, Copy)]
enum Unread {
    /// Over HTTP/2, without a window for it.
    Small,
    Large,
    /// Over HTTP/1, on a full connection.
    Http1,
}

impl Unread {
    async fn start(self, address: SocketAddr) -> Raw {
        let two = async |text| {
            let mut raw = Raw::http2(address).await;
            let call = unary(1, ACT, text);
            assert!(raw.send(&call).await);
            raw.frames(HEADERS, 1).await;
            raw
        };
        let one = async || {
            let mut raw = Raw::connect(address).await;
            assert!(raw.send(&http1("large")).await);
            raw.begun().await;
            raw
        };
        match self {
            Self::Small => two("hello").await,
            Self::Large => two("large").await,
            Self::Http1 => one().await,
        }
    }
}

#[tokio::test]
async fn unread_answers_keep_their_slot_until_the_write_timeout() {
    let package = actor::package(ACTS);
    let krt = Krt::run_at(package.path()).flag("--max-requests", "1").flag("--write-timeout", "8");
    let service = krt.flag("--max-bytes", "64MiB").start().await;
    let before = open(service.pid());
    for attack in [Unread::Small, Unread::Large, Unread::Http1] {
        let unread = attack.start(service.address).await;
        let full = async || {
            let refused = hello(&service).await.err()?;
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
            refused.message().starts_with("the queue is full: 1 requests").then_some(())
        };
        eventually(&format!("{attack:?}: the place is held"), full).await;
        let free = async || hello(&service).await.ok();
        eventually(&format!("{attack:?}: the place is free"), free).await;
        let closed = async || (open(service.pid()) <= before + 2).then_some(());
        eventually(&format!("{attack:?}: the connection is closed"), closed).await;
        drop(unread);
    }
    recovered(&service, before).await;
    service.stop().await;
}

#[tokio::test]
async fn silent_connections_are_closed_and_active_ones_kept() {
    let package = actor::package("");
    let krt = bounded(Krt::run_with_dashboard(package.path())).flag("--request-timeout", "2");
    let service = krt.start().await;
    let page = team::dashboard(&service).await.address();
    hello(&service).await.unwrap();
    let before = open(service.pid());
    // It answers pings and sends nothing else.
    let honest = service.client();
    honest.call("Act", json!({ "text": "hello" })).await.unwrap();
    let kept = open(service.pid());

    let settings = frame(SETTINGS, 0, 0, &[]);
    let half = frame(HEADERS, 0, 1, &call(ACT));
    let whole = http1("hello");
    let said: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("a byte", b"P".to_vec()),
        ("half of what begins HTTP/2", PREFACE[..20].to_vec()),
        ("what begins HTTP/2", PREFACE.to_vec()),
        ("HTTP/2 without a request", [PREFACE, &settings].concat()),
        ("HTTP/2 with half of a head", [PREFACE, &settings, &half].concat()),
        ("half of a frame", [PREFACE, &settings, &half[..12]].concat()),
        ("half of a head", b"GET / HTTP/1.1\r\nhost: local".to_vec()),
        ("a request, and no other", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        (
            "a request, and half of another",
            [&b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..], b"GET"].concat(),
        ),
        ("half of a body", whole[..whole.len() - 3].to_vec()),
        ("an unknown method", b"\x16\x03\x01\x02\x00\x01\x00".to_vec()),
    ];
    let silent = said.iter().flat_map(|(what, bytes)| [service.address, page].map(|to| (what, bytes, to)));
    let closed = silent.map(async |(what, bytes, to)| {
        let mut raw = Raw::connect(to).await;
        // The dashboard's port waits a minute for bodies, which a unit test covers.
        if to == page && *what == "half of a body" {
            return;
        }
        assert!(raw.send(bytes).await, "{what}");
        raw.closed(what).await;
    });
    let trickle = async |to: SocketAddr| {
        let mut raw = Raw::connect(to).await;
        let head =
            b"GET / HTTP/1.1\r\nhost: localhost\r\nx-long: ".iter().copied().chain(std::iter::repeat(b'x'));
        for byte in head {
            if !raw.send(&[byte]).await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    futures::join!(join_all(closed), trickle(service.address), trickle(page));
    let alone = async || (open(service.pid()) <= kept).then_some(());
    eventually("the honest connection is the only one", alone).await;
    assert!(open(service.pid()) >= before, "the honest connection is open");
    honest.call("Act", json!({ "text": "hello" })).await.unwrap();
    recovered(&service, kept).await;
    service.stop().await;
}

#[tokio::test]
async fn idle_connections_make_room_at_the_limit() {
    let package = actor::package("");
    let krt = bounded(Krt::run_with_dashboard(package.path())).flag("--max-connections", "8");
    let service = krt.start().await;
    let page = team::dashboard(&service).await;
    let before = open(service.pid());
    let greedy = join_all((0..8).map(async |_| {
        let client = service.client();
        client.call("Act", json!({ "text": "hello" })).await.unwrap();
        client
    }))
    .await;
    let refused = hello(&service).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "too many connections: the limit is 8; hint: try again later");
    let plain = Http::one(service.address).post_json(ACT, &json!({ "text": "hello" })).await;
    assert_eq!(plain.expect(StatusCode::SERVICE_UNAVAILABLE)["code"], "unavailable");
    page.send(Method::GET, "/api/v1/runtimes", &[], "").await.expect(StatusCode::OK);
    let is_warning = |record: &crate::support::lines::Record| {
        record.level == "WARN"
            && record.message.starts_with("too many connections, ")
            && record.message.ends_with("the limit is 8; hint: raise it with --max-connections")
    };
    service.lines.wait("that there are too many", is_warning).await;
    // They answer pings, so they would stay if the limit were higher.
    recovered(&service, before + 8).await;
    drop(greedy);
    recovered(&service, before).await;
    service.stop().await;
}

#[tokio::test]
async fn floods_of_service_and_dashboard_are_independent() {
    allow_files();
    let described = team::version("described", "");
    let krt = Krt::serve(described.path()).started_by("sh", &["-c", "ulimit -n 128 && exec \"$0\" \"$@\""]);
    let data = tempfile::tempdir().unwrap();
    let team = Team::started_by(krt.flag("--max-bytes", "64MiB"), data.path()).await;
    let flood = async |to: SocketAddr| join_all((0..300).map(|_| Raw::connect(to))).await;
    for (to, other) in [(team.address, team.api.address()), (team.api.address(), team.address)] {
        let silent = flood(to).await;
        let answered = async || {
            let answer = Http::one(other).send(Method::GET, "/api/v1/server", &[], "").await;
            (!String::from_utf8_lossy(&answer.body).contains("too many connections")).then_some(())
        };
        eventually("the other port answers", answered).await;
        drop(silent);
    }
    held_within(&team, MAX_BYTES);
    team.stop().await;
}

/// Concatenates the bytes of `each` stream number.
fn flood(count: u32, each: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|index| each(index * 2 + 1)).collect()
}

#[tokio::test]
async fn http_2_floods_are_bounded() {
    let package = actor::package("");
    let service = bounded(Krt::run_with_dashboard(package.path())).start().await;
    let page = team::dashboard(&service).await;
    hello(&service).await.unwrap();
    let before = open(service.pid());
    let open_head = |stream| frame(HEADERS, 0, stream, &call(ACT));
    let large = "x".repeat(120);
    let more = block(&[("x-more", &*large); 120]);
    let floods: Vec<(&str, Vec<u8>)> = vec![
        (
            "requests that are taken back at once",
            flood(20_000, |stream| {
                [frame(HEADERS, END_HEADERS, stream, &call(ACT)), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
                    .concat()
            }),
        ),
        ("pings", flood(200_000, |_| frame(PING, 0, 0, &[0; 8]))),
        ("settings", flood(200_000, |_| frame(SETTINGS, 0, 0, &[]))),
        ("a head without end", [open_head(1), flood(2_000, |_| frame(CONTINUATION, 0, 1, &more))].concat()),
        (
            "empty pieces of a head",
            [open_head(1), flood(100_000, |_| frame(CONTINUATION, 0, 1, &[]))].concat(),
        ),
        (
            "empty pieces of a body",
            [frame(HEADERS, END_HEADERS, 1, &call(ACT)), flood(100_000, |_| frame(DATA, 0, 1, &[]))].concat(),
        ),
        ("priorities", flood(100_000, |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1]))),
        ("windows", flood(100_000, |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        (
            "refusals that are not read",
            flood(20_000, |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &call("/none"))),
        ),
        ("requests that do not end", flood(20_000, |stream| frame(HEADERS, END_HEADERS, stream, &call(ACT)))),
        ("frames of no kind", flood(100_000, |_| frame(200, 255, 0, &[0; 32]))),
    ];
    for (what, bytes) in &floods {
        for to in [service.address, page.address()] {
            let attackers = (0..4).map(async |_| {
                let mut raw = Raw::http2(to).await;
                raw.pour(bytes).await;
                raw
            });
            let attackers = join_all(attackers).await;
            served_among(&service, what).await;
            // The idle timeout closes connections that were idle during the attack.
            page.again().send(Method::GET, "/api/v1/runtimes", &[], "").await.expect(StatusCode::OK);
            drop(attackers);
        }
        let peak = super::peak(service.pid()) >> 20;
        println!("{what}: the peak is {peak} MiB");
    }
    recovered(&service, before).await;
    service.stop().await;
}

#[tokio::test]
async fn large_heads_and_waiting_requests_are_bounded() {
    allow_files();
    let package = actor::package("");
    let krt = Krt::run_at(package.path()).flag("--max-bytes", "64MiB").flag("--header-timeout", "10");
    let service = krt.start().await;
    hello(&service).await.unwrap();
    let before = open(service.pid());
    let head = [&b"GET / HTTP/1.1\r\nhost: localhost\r\nx-large: "[..], &[b'x'; 60 << 10]].concat();
    let heads = join_all((0..2000).map(async |_| {
        let mut raw = Raw::connect(service.address).await;
        raw.pour(&head).await;
        raw
    }))
    .await;
    println!("large heads: the peak is {} MiB", super::peak(service.pid()) >> 20);
    held_within(&service, MAX_BYTES);
    served_among(&service, "large heads").await;
    drop(heads);
    let large = "x".repeat(120);
    let metadata = [call(ACT), block(&[("x-large", &*large); 80])].concat();
    let waiting = flood(1000, |stream| frame(HEADERS, END_HEADERS, stream, &metadata));
    let waiting = join_all((0..40).map(async |_| {
        let mut raw = Raw::http2(service.address).await;
        raw.pour(&waiting).await;
        raw
    }))
    .await;
    println!("waiting requests: the peak is {} MiB", super::peak(service.pid()) >> 20);
    drop(waiting);
    recovered(&service, before).await;
    service.stop().await;
}
