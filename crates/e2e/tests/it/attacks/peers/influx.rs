//! Hostile InfluxDB servers: measurements are lost, and nothing else.

use super::{MAX_BYTES, Peer, flood, stay_silent};
use crate::{
    attacks::held_within,
    support::{Krt, eventually},
};
use futures::future::join_all;
use serde_json::json;
use std::{io::Write as _, net::TcpStream};

type Script = fn(TcpStream) -> std::io::Result<()>;

/// The server's behaviour on each connection.
const ATTACKS: [(&str, Script); 9] = [
    ("says something else", |mut stream| stream.write_all(b"* OK IMAP4rev1\r\n")),
    ("says nothing", stay_silent),
    ("closes", |stream| stream.shutdown(std::net::Shutdown::Both)),
    ("an answer that never ends", |mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad\r\ncontent-length: 999999999999\r\n\r\n")?;
        flood(&mut stream, &[b'a'; 64 << 10], usize::MAX)
    }),
    ("chunks that never end", |mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n")?;
        flood(&mut stream, b"5\r\naaaaa\r\n", usize::MAX)
    }),
    ("headers that never end", |mut stream| {
        stream.write_all(b"HTTP/1.1 204 No\r\n")?;
        flood(&mut stream, b"a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", usize::MAX)
    }),
    ("answers for now that never end", |mut stream| {
        flood(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n", usize::MAX)
    }),
    ("sends elsewhere", |mut stream| {
        stream.write_all(b"HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
    }),
    ("an invalid length", |mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad\r\ncontent-length: 18446744073709551615\r\n\r\na")
    }),
];

#[tokio::test]
async fn hostile_influx_servers_cost_only_measurements() {
    join_all(ATTACKS.map(async |(what, attack)| {
        let peer = Peer::start(attack);
        let krt = Krt::run("context").flag("--influx", format!("http://ada:s3cret@127.0.0.1:{}", peer.port));
        let service = krt.flag("--max-bytes", MAX_BYTES.to_string()).start().await;
        service.call("Alone", json!({ "act": "measure" })).await.unwrap();
        let tried = async || (peer.connections() > 0).then_some(());
        eventually(&format!("measurements are sent to one that {what}"), tried).await;
        let said = service.lines.wait("InfluxDB", |record| record.message.contains("InfluxDB")).await;
        assert!(!said.message.contains("s3cret"), "{what}: {}", said.message);
        service.call("Alone", json!({ "act": "measure" })).await.unwrap();
        held_within(&service, MAX_BYTES);
        service.stop().await;
    }))
    .await;
}
