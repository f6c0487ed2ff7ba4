//! Clients that misuse TLS: handshakes that are endless, invalid, or request unsupported features.
//!
//! Bound: the engine's memory stays within `--max-bytes` and 64 MiB; an honest client is answered during each
//! attack, and the descriptors are as before once the handshake timeout is over.

use super::{held_within, raw::Raw};
use crate::{
    support::{Krt, Service, actor, eventually, tls::SelfSigned},
    tls::by_http1,
};
use futures::future::join_all;
use std::{net::SocketAddr, process::Stdio, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName},
};

const MAX_BYTES: u64 = 64 << 20;

/// Types of records and of handshake messages (RFC 8446, sections 5.1 and 4).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

/// A server with TLS.
struct Target {
    service: Service,
    signed: SelfSigned,
    _files: (TempDir, TempDir),
}

impl Target {
    async fn start() -> Self {
        let (package, folder) = (actor::package(""), tempfile::tempdir().unwrap());
        let signed = SelfSigned::new(folder.path(), "server");
        let krt = Krt::run_at(package.path()).flag("--tls-cert", &signed.certificate);
        let krt = krt.flag("--max-bytes", "64MiB").flag("--header-timeout", "3");
        let service = krt.flag("--tls-key", &signed.key).start().await;
        let target = Self { service, signed, _files: (package, folder) };
        target.answers().await;
        target
    }

    fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// Asserts that an honest client is answered.
    async fn answers(&self) {
        let (answer, _) = by_http1(self.address(), &self.signed).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    fn open(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.service.pid())).expect("it lives").count()
    }

    /// Asserts that an attack has left no trace.
    async fn end(self, before: usize) {
        let closed = async || (self.open() <= before).then_some(());
        eventually("the descriptors are as before", closed).await;
        self.answers().await;
        held_within(&self.service, MAX_BYTES);
        self.service.stop().await;
    }

    fn config(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.signed.made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// A client's first message.
    fn hello(&self, name: &str, protocols: &[&[u8]], sni: bool) -> Vec<u8> {
        let mut config = self.config(protocols);
        config.enable_sni = sni;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }

    /// The type of the first record in the response; `None` if the connection closes without one.
    async fn reply(&self, sent: &[u8]) -> Option<u8> {
        let mut raw = Raw::connect(self.address()).await;
        raw.pour(sent).await;
        let mut kind = [0];
        let read = tokio::time::timeout(crate::support::TIMEOUT, raw.0.read_exact(&mut kind)).await;
        read.expect("it is answered, or closed").ok().map(|_| kind[0])
    }
}

fn record(kind: u8, version: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("records are small");
    [&[kind], &version.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
}

/// The first message of a client with another version and extensions.
fn old_hello(version: u16, extensions: &[u8]) -> Vec<u8> {
    let suites = [0, 4, 0xc0, 0x2f, 0, 0x2f];
    let length = u16::try_from(extensions.len()).expect("extensions are small");
    let parts =
        [&version.to_be_bytes()[..], &[7; 32], &[0], &suites, &[1, 0], &length.to_be_bytes(), extensions];
    let body = parts.concat();
    let length = u32::try_from(body.len()).expect("messages are small").to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    message.chunks(16 << 10).flat_map(|part| record(HANDSHAKE, 0x0301, part)).collect()
}

/// The extension with the server's name.
fn server_name(name: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).expect("names are shorter than 64 KiB").to_be_bytes();
    let entry = [&[0], &length(name.len())[..], name].concat();
    [&[0, 0], &length(entry.len() + 2)[..], &length(entry.len()), &entry].concat()
}

#[tokio::test]
async fn unfinished_handshakes_are_cut_off_and_others_served() {
    let target = Target::start().await;
    let before = target.open();
    let hello = target.hello("localhost", &[b"h2"], true);
    let garbage = [b'x'; 512];
    let steps: Vec<Vec<u8>> = vec![
        Vec::new(),
        hello[..3].to_vec(),
        hello[..hello.len() / 2].to_vec(),
        hello.clone(),
        [&hello[..], &record(20, 0x0303, &[1])].concat(),
        [&hello[..], &record(APPLICATION, 0x0303, &garbage)].concat(),
        // An unsolicited certificate.
        [&hello[..], &record(HANDSHAKE, 0x0303, &[11, 0, 0, 3, 0, 0, 0])].concat(),
    ];
    let half = join_all((0..steps.len() * 60).map(async |index| {
        let mut raw = Raw::connect(target.address()).await;
        raw.pour(&steps[index % steps.len()]).await;
        raw
    }))
    .await;
    target.answers().await;
    join_all(half.into_iter().map(|raw| raw.closed("half a handshake"))).await;
    // Clients that disconnect right after each step.
    for round in 0..300 {
        let mut raw = Raw::connect(target.address()).await;
        raw.pour(&steps[round % steps.len()]).await;
    }
    target.end(before).await;
}

#[tokio::test]
async fn invalid_handshakes_are_refused() {
    let target = Target::start().await;
    let before = target.open();
    let many = |kind, content: &[u8]| record(kind, 0x0303, content).repeat(20_000);
    let sent: Vec<(&str, Vec<u8>)> = vec![
        ("plain HTTP", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        ("what begins HTTP/2", super::raw::PREFACE.to_vec()),
        ("noise", (0..4096_u32).map(|index| (index * 31 % 251) as u8).collect()),
        ("a record that is too large", [&[HANDSHAKE, 3, 1, 0xff, 0xff][..], &[1; 65535]].concat()),
        ("a message that is too large", record(HANDSHAKE, 0x0301, &[1, 0xff, 0xff, 0xff, 3, 3]).repeat(4000)),
        ("records without content", many(HANDSHAKE, &[])),
        ("warnings", many(ALERT, &[1, 0])),
        ("SSL 3.0", old_hello(0x0300, &[])),
        ("TLS 1.0", old_hello(0x0301, &[])),
        ("TLS 1.1", old_hello(0x0302, &[])),
        ("an invalid name", old_hello(0x0303, &server_name(&[0xff; 300]))),
        ("a name that is very long", old_hello(0x0303, &server_name(&[b'x'; 60_000]))),
    ];
    for (what, bytes) in &sent {
        let replies = join_all((0..20).map(|_| target.reply(bytes))).await;
        let refused = |kind: &Option<u8>| matches!(kind, None | Some(ALERT));
        assert!(replies.iter().all(refused), "{what}: {replies:?}");
    }
    target.end(before).await;
}

#[tokio::test]
async fn clients_may_send_any_names_and_protocols() {
    let target = Target::start().await;
    let before = target.open();
    let long = format!("{}.example", vec!["x".repeat(60); 3].join("."));
    let many: Vec<Vec<u8>> = (0..200).map(|index| format!("protocol-{index}").into_bytes()).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).chain([&b"h2"[..]]).collect();
    for (name, protocols, sni) in [
        ("localhost", &[][..], true),
        ("localhost", &[&b"http/1.1"[..]], false),
        ("other.example", &[&b"h2"[..]], true),
        (&long, &[&b"h2"[..]], true),
        ("localhost", &many, true),
    ] {
        let reply = target.reply(&target.hello(name, protocols, sni)).await;
        assert_eq!(reply, Some(HANDSHAKE), "{name} {} protocols", protocols.len());
    }
    let unknown = TlsConnector::from(Arc::new(target.config(&[b"spdy/3"])));
    let socket = TcpStream::connect(target.address()).await.unwrap();
    let refused = unknown.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    target.end(before).await;
}

#[tokio::test]
async fn many_sessions_are_resumed_within_bounds() {
    let target = Target::start().await;
    let before = target.open();
    let connector = TlsConnector::from(Arc::new(target.config(&[b"http/1.1"])));
    let mut resumed = 0;
    for _ in 0..400 {
        let socket = TcpStream::connect(target.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut socket = connector.connect(name, socket).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // The test does not depend on how TLS ends.
        let _ = socket.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        let kind = socket.get_ref().1.handshake_kind();
        resumed += u32::from(kind == Some(tokio_rustls::rustls::HandshakeKind::Resumed));
    }
    assert!(resumed > 300, "sessions are resumed: {resumed}");
    target.end(before).await;
}

#[tokio::test]
async fn sessions_are_not_renegotiated() {
    let target = Target::start().await;
    let before = target.open();
    let address = target.address().to_string();
    let started = tokio::process::Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut client) = started else {
        return krt_servers::skipped("renegotiation", "openssl");
    };
    let mut typed = client.stdin.take().unwrap();
    // `R` at the start of a line requests a renegotiation.
    typed.write_all(b"R\n").await.unwrap();
    let ended = tokio::time::timeout(crate::support::TIMEOUT, client.wait_with_output()).await;
    let output = ended.expect("the server ends it").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, after) = said.split_once("RENEGOTIATING").expect("it is asked for");
    assert!(after.contains("error:"), "{said}");
    drop(typed);
    target.end(before).await;
}
