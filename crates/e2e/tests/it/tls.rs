//! `krt run` and `krt entrypoint` over TLS.

use crate::support::{Krt, actor, eventually, krt::command, runners::WireProtocol, tls::SelfSigned};
use krt_servers::{NatsOptions, NatsServer};
use std::{net::SocketAddr, path::Path, process::Output, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore},
};

fn call(address: SocketAddr, authority: &Path) -> Output {
    let address = format!("https://localhost:{}", address.port());
    let mut command = command();
    command.args(["call", "--address", &address, "Act", r#"{"text": "hello"}"#, "--cacert"]).arg(authority);
    command.output().unwrap()
}

/// The answer over TLS and HTTP/1.1, and the negotiated parameters.
pub(crate) async fn by_http1(address: SocketAddr, signed: &SelfSigned) -> (String, Option<Vec<u8>>) {
    let mut roots = RootCertStore::empty();
    roots.add(signed.made.cert.der().clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let socket = TcpStream::connect(address).await.unwrap();
    let name = "localhost".to_owned().try_into().unwrap();
    let mut socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let body = r#"{"text": "hello"}"#;
    let request = format!(
        "POST /actor.Entrypoint/Act HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The test does not depend on how TLS ends.
    let _ = socket.read_to_end(&mut answer).await;
    let agreed = socket.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    (String::from_utf8_lossy(&answer).into_owned(), agreed)
}

#[tokio::test]
async fn both_protocols_and_a_renewed_certificate() {
    let (package, folder) = (actor::package(""), tempfile::tempdir().unwrap());
    let signed = SelfSigned::new(folder.path(), "server");
    let krt = Krt::run_at(package.path()).flag("--tls-cert", &signed.certificate);
    let service = krt.flag("--tls-key", &signed.key).start().await;
    let called = call(service.address, &signed.certificate);
    assert!(called.status.success(), "{}", String::from_utf8_lossy(&called.stderr));
    assert_eq!(called.stdout, b"{\"text\":\"hello\"}\n");
    let (answer, agreed) = by_http1(service.address, &signed).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"text":"hello"}"#), "{answer}");
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));

    // An invalid certificate changes nothing; a valid one is used without a restart.
    let renewed = SelfSigned::new(folder.path(), "renewed");
    std::fs::write(&signed.certificate, "no certificate").unwrap();
    let stays = async || {
        let (answer, _) = by_http1(service.address, &signed).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let is_warning = |record: &crate::support::lines::Record| {
            record.level == "WARN" && record.message.starts_with("the certificate before stays in use: ")
        };
        service.lines.records().iter().any(is_warning).then_some(())
    };
    eventually("the broken file is reported", stays).await;
    std::fs::copy(&renewed.key, &signed.key).unwrap();
    std::fs::copy(&renewed.certificate, &signed.certificate).unwrap();
    let taken = async || call(service.address, &renewed.certificate).status.success().then_some(());
    eventually("the new certificate is shown", taken).await;
    service.stop().await;
}

#[tokio::test]
async fn a_separate_entrypoint_uses_tls() {
    let Some(server) = NatsServer::start("a_separate_entrypoint_uses_tls", NatsOptions::default()) else {
        return;
    };
    let (package, folder) = (actor::package(""), tempfile::tempdir().unwrap());
    let signed = SelfSigned::new(folder.path(), "server");
    let (url, protocol) = (server.url(), WireProtocol::Core);
    let node = Krt::nodes(&["actor"], package.path()).nats(&url, protocol).take().await;
    let krt = Krt::entrypoint(package.path()).nats(&url, protocol).flag("--tls-cert", &signed.certificate);
    let service = krt.flag("--tls-key", &signed.key).start().await;
    let called = async || call(service.address, &signed.certificate).status.success().then_some(());
    eventually("it answers", called).await;
    service.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn invalid_files_fail_the_start() {
    let (package, folder) = (actor::package(""), tempfile::tempdir().unwrap());
    let [one, other] = ["one", "other"].map(|name| SelfSigned::new(folder.path(), name));
    let missing = folder.path().join("missing.pem");
    let shown = missing.display().to_string();
    for (certificate, key, expected) in [
        (&missing, &one.key, format!("failed to read the certificates in `{shown}`")),
        (&one.certificate, &missing, format!("failed to read the private key in `{shown}`")),
        (&one.key, &one.key, format!("`{}` has no certificate", one.key.display())),
        (&one.certificate, &other.key, "the certificate and its key do not go together".to_owned()),
    ] {
        let krt = Krt::run_at(package.path()).flag("--tls-cert", certificate).flag("--tls-key", key);
        let ended = krt.end().await;
        assert_eq!(ended.code, Some(1));
        let error = ended.lines.last_message();
        assert!(error.starts_with(&expected), "{error}");
    }
    let half = Krt::run_at(package.path()).flag("--tls-cert", &one.certificate).end().await;
    assert_eq!(half.code, Some(2));
    assert!(half.lines.plain().contains("--tls-key <FILE>"), "{}", half.lines.plain());
}
