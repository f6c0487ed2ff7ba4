//! Hostile NATS servers.

use super::{MAX_BYTES, Peer, flood, start_fails, stay_silent};
use crate::{
    attacks::held_within,
    support::{Krt, actor, eventually, runners::WireProtocol},
};
use futures::future::join_all;
use serde_json::json;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tonic::Code;

/// More than the bound, if the engine kept it in memory.
const MUCH: usize = 400 << 20;

fn info(more: &str) -> String {
    format!(
        "INFO {{\"server_id\":\"A\",\"server_name\":\"a\",\"version\":\"2.10.0\",\"proto\":1,\"host\":\"127.0.0.1\",\
         \"port\":4222,\"headers\":true,\"max_payload\":1048576{more}}}\r\n"
    )
}

/// The connections of clients that have signed in; the engine has one at a time.
#[derive(Default)]
struct Clients {
    count: AtomicUsize,
    last: Mutex<Option<TcpStream>>,
}

impl Clients {
    /// Speaks the protocol, and delivers no messages.
    fn serve(&self, mut stream: TcpStream, info: &str) -> std::io::Result<()> {
        stream.write_all(info.as_bytes())?;
        let mut is_new = true;
        for line in BufReader::new(stream.try_clone()?).split(b'\n') {
            let line = line?;
            // A client subscribes once it has signed in, and is watched from then on.
            if line.starts_with(b"SUB") && std::mem::take(&mut is_new) {
                *self.last.lock().unwrap() = Some(stream.try_clone()?);
                self.count.fetch_add(1, Ordering::SeqCst);
            }
            if line.starts_with(b"PING") {
                stream.write_all(b"PONG\r\n")?;
            }
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Runs a script on the last connection.
    fn attack(&self, script: Script) {
        let stream = self.last.lock().unwrap().as_ref().unwrap().try_clone().unwrap();
        std::thread::spawn(move || script(stream).ok());
    }
}

type Script = fn(TcpStream) -> std::io::Result<()>;

/// Scripts that do not speak the protocol.
const NONE: [(&str, Script); 9] = [
    ("says something else", |mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")),
    ("says nothing", stay_silent),
    ("closes", |stream| stream.shutdown(std::net::Shutdown::Both)),
    ("closes after its INFO", |mut stream| stream.write_all(info("").as_bytes())),
    ("says nothing after its INFO", |mut stream| {
        stream.write_all(info("").as_bytes())?;
        stay_silent(stream)
    }),
    ("an INFO that never ends", |mut stream| {
        stream.write_all(b"INFO {\"server_id\":\"")?;
        flood(&mut stream, &[b'a'; 64 << 10], usize::MAX)
    }),
    ("an INFO of the wrong types", |mut stream| {
        stream.write_all(b"INFO {\"server_id\":[],\"max_payload\":-1}\r\n")
    }),
    ("nonsense in place of TLS", |mut stream| {
        stream.write_all(info(",\"tls_required\":true").as_bytes())?;
        flood(&mut stream, b"\x16\x03\x03\x40\x00garbage", 1 << 20)
    }),
    ("errors without end", |mut stream| {
        stream.write_all(info("").as_bytes())?;
        flood(&mut stream, b"-ERR 'no'\r\n", 1 << 20)
    }),
];

#[tokio::test]
async fn fake_servers_fail_the_start_within_the_bound() {
    let package = actor::package("");
    let starts = NONE.iter().map(async |(what, script)| {
        let peer = Peer::start(script);
        let url = format!("nats://127.0.0.1:{}", peer.port);
        start_fails(
            what,
            Krt::run_at(package.path()).nats(&url, WireProtocol::Core),
            "NATS at nats://127.0.0.1",
        )
        .await;
    });
    join_all(starts).await;
}

/// What a server sends on a connection that was good so far.
const ATTACKS: [(&str, Script); 8] = [
    ("garbage", |mut stream| stream.write_all(b"\x00\xff\xfe nonsense\r\n")),
    ("the largest length there is", |mut stream| stream.write_all(b"MSG a 1 18446744073709551615\r\n")),
    ("the same with headers", |mut stream| stream.write_all(b"HMSG a 1 12 18446744073709551615\r\n")),
    ("a negative length", |mut stream| stream.write_all(b"MSG a 1 -1\r\n\r\n")),
    ("a lone carriage return in a header", |mut stream| {
        stream.write_all(b"HMSG a 1 21 21\r\nNATS/1.0\r\na: b\rc\r\n\r\n\r\n")
    }),
    ("a header without an end", |mut stream| stream.write_all(b"HMSG a 1 8 8\r\nNATS/1.1\r\n")),
    ("a message of 2 GiB", |mut stream| {
        stream.write_all(b"MSG a 1 2147483648\r\n")?;
        flood(&mut stream, &[0; 64 << 10], MUCH)
    }),
    ("nothing more", |stream| stream.shutdown(std::net::Shutdown::Both)),
];

#[tokio::test]
async fn hostile_servers_cost_only_their_connection() {
    let greeting: Arc<str> = info("").into();
    let clients = Arc::<Clients>::default();
    let known = Arc::clone(&clients);
    let peer = Peer::start(move |stream| known.serve(stream, &greeting));
    let package = actor::package("");
    let url = format!("nats://127.0.0.1:{}", peer.port);
    // The NATS client panics on some of these, and printing a backtrace takes 70 MiB in a debug build.
    let krt = Krt::run_at(package.path()).nats(&url, WireProtocol::Core).env("RUST_BACKTRACE", "0");
    let service = krt.flag("--max-bytes", MAX_BYTES.to_string()).start().await;
    for (what, attack) in ATTACKS {
        let before = clients.count();
        clients.attack(attack);
        let again = async || (clients.count() > before).then_some(());
        eventually(&format!("the engine connects again after {what}"), again).await;
        // No node answers over such a server, but the port does.
        let call = service.call_within(Duration::from_millis(200), "Act", json!({ "text": "hello" })).await;
        let code = call.expect_err("no node is there").code();
        assert!(matches!(code, Code::DeadlineExceeded | Code::Unavailable), "{what}: {code:?}");
        held_within(&service, MAX_BYTES);
    }
    service.stop().await;
}
