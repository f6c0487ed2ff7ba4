//! NATS servers whose information about themselves and about JetStream is invalid: the start fails with an
//! error that names the stream or the consumer, or the engine keeps running.

use super::{MAX_BYTES, Peer, start_fails};
use crate::{
    attacks::held_within,
    support::{Krt, actor, runners::WireProtocol},
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

/// The answer to a JetStream request with a subject and a body; `None` for no answer.
type Answer = Box<dyn Fn(&str, &[u8]) -> Option<String> + Send + Sync>;

fn info(max_payload: &str) -> String {
    format!(
        "INFO {{\"server_id\":\"A\",\"version\":\"2.10.0\",\"proto\":1,\"host\":\"127.0.0.1\",\"port\":4222,\
         \"headers\":true,\"jetstream\":true,\"max_payload\":{max_payload}}}\r\n"
    )
}

/// Speaks the NATS protocol, and answers JetStream requests. Drops other messages.
fn serve(mut stream: TcpStream, info: &str, answer: &Answer) -> std::io::Result<()> {
    stream.write_all(info.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut subscribed: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => stream.write_all(b"PONG\r\n")?,
            ["SUB", subject, .., sid] => subscribed.push((subject.to_owned(), sid.to_owned())),
            ["PUB" | "HPUB", subject, ref rest @ .., length] => {
                let mut body = vec![0; length.parse::<usize>().unwrap() + 2];
                reader.read_exact(&mut body)?;
                let inbox = rest.first().copied().unwrap_or_default();
                let begin = |pattern: &str| inbox.starts_with(pattern.trim_end_matches(['*', '>']));
                let sid = subscribed.iter().find(|(pattern, _)| begin(pattern)).map(|(_, sid)| sid);
                let subject = subject.strip_prefix("$JS.API.");
                let answer = subject.and_then(|subject| answer(subject, &body[..body.len() - 2]));
                if let (Some(sid), Some(answer)) = (sid, answer) {
                    write!(stream, "MSG {inbox} {sid} {}\r\n{answer}\r\n", answer.len())?;
                }
            }
            _ => {}
        }
    }
}

fn server(info: String, answer: Answer) -> Peer {
    let answer = Arc::new(answer);
    Peer::start(move |stream| serve(stream, &info, &answer))
}

/// Invalid answers.
fn nonsense() -> Vec<(&'static str, String)> {
    let deep = "[".repeat(100_000);
    let long = json!({ "error": { "code": 500, "err_code": 1, "description": "a".repeat(900_000) } });
    let huge = "{\"error\":{\"code\":1e400,\"err_code\":-7}}";
    [
        ("a number", "7"),
        ("a text", "\"there\""),
        ("a list", "[]"),
        ("nothing", ""),
        ("half an object", "{\"config\":"),
        ("an empty object", "{}"),
        ("an empty error", "{\"error\":{}}"),
        ("an error without a code", "{\"error\":{\"description\":\"no\"}}"),
        ("an error that is a text", "{\"error\":\"no\"}"),
        ("an error with numbers beyond all types", huge),
        ("wrong types", "{\"config\":7,\"name\":[],\"stream_name\":{},\"created\":1e99,\"state\":\"\"}"),
        ("brackets without end", &*deep),
        ("an error of 900 kB", &*long.to_string()),
    ]
    .map(|(what, text)| (what, text.to_owned()))
    .to_vec()
}

async fn fails(what: &str, answer: Answer, words: &str) {
    let package = actor::package("");
    let peer = server(info("1048576"), answer);
    let url = format!("nats://127.0.0.1:{}", peer.port);
    start_fails(what, Krt::run_at(package.path()).nats(&url, WireProtocol::JetStream), words).await;
}

#[tokio::test]
async fn invalid_stream_answers_fail_the_start() {
    let starts = nonsense().into_iter().map(async |(what, text)| {
        fails(what, Box::new(move |_, _| Some(text.clone())), "the stream `").await;
    });
    join_all(starts).await;
}

#[tokio::test]
async fn silent_servers_fail_the_start() {
    fails("silence", Box::new(|_, _| None), "the stream `").await;
}

/// The answer to the creation of a stream.
fn made(config: &[u8]) -> Option<String> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let state = json!({
        "messages": u64::MAX, "bytes": u64::MAX, "first_seq": u64::MAX, "last_seq": 0, "consumer_count": 0,
        "first_ts": "0001-01-01T00:00:00Z", "last_ts": "9999-12-31T23:59:59Z",
    });
    Some(json!({ "config": config, "created": "2026-01-01T00:00:00Z", "state": state }).to_string())
}

#[tokio::test]
async fn invalid_consumer_answers_fail_the_start() {
    let starts = nonsense().into_iter().map(async |(what, text)| {
        let answer = move |subject: &str, body: &[u8]| match subject.split('.').collect::<Vec<_>>()[..] {
            ["STREAM", "CREATE", _] => made(body),
            ["STREAM", ..] => Some(json!({ "error": { "code": 404, "err_code": 10059 } }).to_string()),
            _ => Some(text.clone()),
        };
        fails(what, Box::new(answer), "the consumer `").await;
    });
    join_all(starts).await;
}

#[tokio::test]
async fn invalid_message_limits_cost_only_calls() {
    let package = actor::package("");
    let limits = ["0", "1", "9223372036854775808", "18446744073709551615"].map(async |max_payload| {
        let peer = server(info(max_payload), Box::new(|_, _| None));
        let url = format!("nats://127.0.0.1:{}", peer.port);
        let krt = Krt::run_at(package.path()).nats(&url, WireProtocol::Core);
        let service = krt.flag("--max-bytes", MAX_BYTES.to_string()).start().await;
        let call = service.call_within(Duration::from_millis(500), "Act", json!({ "text": "hello" })).await;
        call.expect_err("no message arrives");
        held_within(&service, MAX_BYTES);
        service.stop().await;
    });
    join_all(limits).await;
    let peer = server(info("18446744073709551616"), Box::new(|_, _| None));
    let url = format!("nats://127.0.0.1:{}", peer.port);
    start_fails(
        "2^64",
        Krt::run_at(package.path()).nats(&url, WireProtocol::Core),
        "NATS at nats://127.0.0.1",
    )
    .await;
}
