//! Compares the server with the real one: both get the same bytes, and must answer alike.

use super::{Handle, Server};
use bytes::Bytes;
use futures::StreamExt as _;
use krt_servers::{NatsAuth, NatsOptions, NatsServer};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

const MAX_PAYLOAD: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running server of ours.
struct Running {
    url: String,
    handle: Handle,
    task: JoinHandle<()>,
    stop: DropGuard,
}

async fn ours() -> Running {
    let server = Server::bind(MAX_PAYLOAD).await.unwrap();
    let (url, handle, stop) = (server.url(), server.handle(), CancellationToken::new());
    Running { url, handle, task: tokio::spawn(server.run(stop.clone())), stop: stop.drop_guard() }
}

fn real(test: &str) -> Option<(NatsServer, String)> {
    let token = "s3cret".to_owned();
    let options = NatsOptions {
        max_payload: Some(MAX_PAYLOAD),
        auth: NatsAuth::Token(token.clone()),
        ..NatsOptions::default()
    };
    let server = NatsServer::start(test, options)?;
    let url = format!("nats://{token}@127.0.0.1:{}", server.port);
    Some((server, url))
}

fn parts(url: &str) -> (&str, &str) {
    url.strip_prefix("nats://").unwrap().split_once('@').unwrap()
}

async fn connect(url: &str) -> async_nats::Client {
    let (token, address) = parts(url);
    async_nats::ConnectOptions::with_token(token.to_owned()).connect(address).await.unwrap()
}

/// Waits until the server knows a client's subscriptions: it answers in order.
async fn settled(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut received = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, Bytes::new()).await.unwrap();
    tokio::time::timeout(TIMEOUT, received.next()).await.unwrap().unwrap();
}

/// A client that writes raw bytes.
struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn open(url: &str, says: &str) -> Self {
        let (token, address) = parts(url);
        let mut raw = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        let mut info = String::new();
        raw.0.read_line(&mut info).await.unwrap();
        assert!(info.starts_with("INFO {") && info.ends_with("\r\n"), "{info}");
        let info: serde_json::Value = serde_json::from_str(&info["INFO ".len()..]).unwrap();
        assert_eq!((&info["headers"], &info["auth_required"]), (&true.into(), &true.into()));
        assert_eq!(info["max_payload"], MAX_PAYLOAD);
        if !says.is_empty() {
            raw.send(&format!("CONNECT {{\"auth_token\":\"{token}\",{says}}}\r\n")).await;
        }
        raw
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The server's output until it has answered a ping, or has closed the connection.
    async fn recv(&mut self) -> String {
        // Fails if the connection is closed.
        let _ = self.0.get_mut().write_all(b"PING\r\n").await;
        let mut output = String::new();
        while !output.ends_with("PONG\r\n") {
            let read = tokio::time::timeout(TIMEOUT, self.0.read_line(&mut output)).await.unwrap();
            if matches!(read, Ok(0) | Err(_)) {
                output.push_str("(end)");
                break;
            }
        }
        output
    }
}

const PLAIN: &str = "\"verbose\":false,\"pedantic\":false";
const MODERN: &str =
    "\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1";

/// A client's `CONNECT`, and its further lines.
const SCRIPTS: [(&str, &str); 34] = [
    (PLAIN, ""),
    (PLAIN, "SUB a 1\r\nPUB a 5\r\nhello\r\n"),
    (PLAIN, "sub a 1\r\npub a 5\r\nhello\r\nunsub 1\r\npub a 1\r\nx\r\n"),
    (PLAIN, "SUB a 1\r\nPUB a b 0\r\n\r\n"),
    (PLAIN, "SUB a.* 1\r\nPUB a.b 1\r\nx\r\nPUB a 1\r\nx\r\nPUB a.b.c 1\r\nx\r\n"),
    (PLAIN, "SUB a.> 1\r\nPUB a.b.c 1\r\nx\r\nPUB a 1\r\nx\r\n"),
    (PLAIN, "SUB > 1\r\nPUB a.b.c 1\r\nx\r\n"),
    (PLAIN, "SUB *.b.> 1\r\nPUB a.b.c 1\r\nx\r\nPUB a.c.c 1\r\nx\r\n"),
    (PLAIN, "SUB a 1\r\nSUB a 1\r\nPUB a 1\r\nx\r\n"),
    (PLAIN, "SUB a 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\nx\r\n"),
    (PLAIN, "SUB a q 1\r\nUNSUB 1\r\nPUB a 1\r\nx\r\n"),
    (PLAIN, "SUB a q 1\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\n"),
    (PLAIN, "SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\n"),
    (PLAIN, "SUB a 1\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nUNSUB 1 2\r\nPUB a 1\r\nz\r\n"),
    (PLAIN, "SUB a 1\r\nUNSUB 1 0\r\nPUB a 1\r\nx\r\n"),
    (PLAIN, "UNSUB 7\r\n"),
    (PLAIN, "SUB a..b 1\r\n"),
    (PLAIN, "SUB .a 1\r\nSUB a. 2\r\nSUB a.>.b 3\r\n"),
    (PLAIN, "SUB a* 1\r\nPUB a* 1\r\nx\r\nPUB ab 1\r\nx\r\n"),
    (PLAIN, "PUB a.* 1\r\nx\r\n"),
    (PLAIN, "PUB a 2000\r\n"),
    (PLAIN, "HELLO\r\n"),
    (PLAIN, "SUB a 1\r\nHPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB a 2\r\nhi\r\n"),
    (MODERN, "SUB a 1\r\nHPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
    (MODERN, "SUB a 1\r\nHPUB a r 20 20\r\nNATS/1.0\r\nA: bc\r\n\r\n\r\n"),
    (MODERN, "SUB r.1 1\r\nPUB nobody r.1 2\r\nhi\r\n"),
    (MODERN, "SUB r.* 1\r\nUNSUB 1 1\r\nPUB nobody r.1 2\r\nhi\r\nPUB nobody r.1 2\r\nhi\r\n"),
    (MODERN, "PUB nobody r.1 2\r\nhi\r\n"),
    (PLAIN, "SUB r.1 1\r\nPUB nobody r.1 2\r\nhi\r\n"),
    ("\"verbose\":true", "PING\r\nSUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\n"),
    ("\"verbose\":false,\"echo\":false,\"protocol\":1", "SUB a 1\r\nPUB a 1\r\nx\r\n"),
    ("\"verbose\":false,\"pedantic\":true", "PUB a.* 1\r\nx\r\nPUB a 1\r\nx\r\n"),
    ("\"verbose\":false,\"auth_token\":\"wrong\"", ""),
    ("", "SUB a 1\r\n"),
];

#[tokio::test]
async fn answers_match_the_real_server() {
    let Some((_server, real)) = real("answers_match_the_real_server") else { return };
    let ours = ours().await;
    let mut differences = Vec::new();
    for (client, script) in SCRIPTS {
        let mut output = Vec::new();
        for url in [&ours.url, &real] {
            let mut raw = Raw::open(url, client).await;
            raw.send(script).await;
            output.push(raw.recv().await);
        }
        // A server's last output before it closes a connection may be lost.
        let ended = output.iter().all(|output| output.ends_with("(end)"));
        if output[0] != output[1] && !ended {
            differences.push(format!("{client} {script:?}:\n  {:?}\n  {:?}", output[0], output[1]));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn one_member_of_each_group_gets_a_message() {
    let Some((_server, real)) = real("one_member_of_each_group_gets_a_message") else { return };
    let ours = ours().await;
    for url in [&ours.url, &real] {
        let client = connect(url).await;
        let mut members = Vec::new();
        for _ in 0..3 {
            members.push(client.queue_subscribe("work", "group".to_owned()).await.unwrap());
        }
        let mut other = client.queue_subscribe("work", "other".to_owned()).await.unwrap();
        let mut single = client.subscribe("wo*").await.unwrap();
        let mut all = client.subscribe("*").await.unwrap();
        for number in 0..60_u8 {
            client.publish("work", Bytes::from(vec![number])).await.unwrap();
        }
        client.flush().await.unwrap();
        for number in 0..60_u8 {
            assert_eq!(other.next().await.unwrap().payload[..], [number]);
            assert_eq!(all.next().await.unwrap().payload[..], [number]);
        }
        let mut received = Vec::new();
        for mut member in members {
            let before = received.len();
            while let Ok(Some(message)) =
                tokio::time::timeout(Duration::from_millis(200), member.next()).await
            {
                received.push(message.payload[0]);
            }
            assert!(received.len() > before, "a member of the group gets nothing");
        }
        received.sort_unstable();
        assert_eq!(received, (0..60).collect::<Vec<_>>());
        assert!(tokio::time::timeout(Duration::from_millis(50), single.next()).await.is_err());
    }
}

#[tokio::test]
async fn requests_without_responders_fail_at_once() {
    let Some((_server, real)) = real("requests_without_responders_fail_at_once") else { return };
    let ours = ours().await;
    for url in [&ours.url, &real] {
        let (asks, answers) = (connect(url).await, connect(url).await);
        let error = asks.request("echo", "hi".into()).await.unwrap_err();
        assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders);
        let mut asked = answers.subscribe("echo").await.unwrap();
        settled(&answers).await;
        let answering = tokio::spawn(async move {
            while let Some(message) = asked.next().await {
                let mut headers = async_nats::HeaderMap::new();
                headers.insert("Kind", "echo");
                let reply = message.reply.unwrap();
                answers.publish_with_headers(reply, headers, message.payload).await.unwrap();
            }
        });
        let ask = |number: usize| {
            let asks = asks.clone();
            async move {
                let answer = asks.request("echo", number.to_string().into()).await.unwrap();
                assert_eq!(answer.headers.unwrap().get("Kind").unwrap().as_str(), "echo");
                assert_eq!(answer.payload, number.to_string());
            }
        };
        futures::future::join_all((0..200).map(ask)).await;
        assert_eq!(asks.server_info().max_payload, MAX_PAYLOAD);
        answering.abort();
    }
}

#[tokio::test]
async fn accounts_are_isolated() {
    let ours = ours().await;
    let other = ours.handle.open().unwrap();
    let (one, two) = (connect(&ours.url).await, connect(&other.url()).await);
    let mut changed = other.watch();
    let mut received = two.subscribe("a").await.unwrap();
    settled(&two).await;
    changed.changed().await.unwrap();
    assert!(other.is_taken("a") && !other.is_taken("b"));
    one.publish("a", "of another".into()).await.unwrap();
    one.flush().await.unwrap();
    two.publish("a", "of ours".into()).await.unwrap();
    assert_eq!(received.next().await.unwrap().payload, "of ours");
    drop((two, received));
    while other.is_taken("a") {
        tokio::time::timeout(TIMEOUT, changed.changed()).await.unwrap().unwrap();
    }
    let url = other.url();
    drop(other);
    let (token, _) = parts(&url);
    let mut raw = Raw::open(&ours.url, "").await;
    raw.send(&format!("CONNECT {{\"auth_token\":\"{token}\"}}\r\n")).await;
    assert_eq!(raw.recv().await, "-ERR 'Authorization Violation'\r\n(end)");
}

#[tokio::test]
async fn slow_readers_lose_their_connection() {
    let ours = ours().await;
    let mut slow = Raw::open(&ours.url, PLAIN).await;
    slow.send("SUB a 1\r\n").await;
    assert_eq!(slow.recv().await, "PONG\r\n");
    let client = connect(&ours.url).await;
    let load = Bytes::from(vec![0; MAX_PAYLOAD]);
    // Exceeds the outbox and the buffers of both sockets together.
    for _ in 0..(200 << 20) / MAX_PAYLOAD {
        client.publish("a", load.clone()).await.unwrap();
    }
    client.flush().await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(TIMEOUT, slow.0.read_to_end(&mut rest)).await.unwrap();
    assert!(end.is_err() || rest.len() < 200 << 20);
    assert!(!String::from_utf8_lossy(&rest[..100]).is_empty());
}

#[tokio::test]
async fn a_shutdown_closes_every_connection() {
    let Running { url, task, stop, .. } = ours().await;
    let mut raw = Raw::open(&url, PLAIN).await;
    assert_eq!(raw.recv().await, "PONG\r\n");
    drop(stop);
    tokio::time::timeout(TIMEOUT, task).await.unwrap().unwrap();
    assert_eq!(raw.recv().await, "(end)");
}
