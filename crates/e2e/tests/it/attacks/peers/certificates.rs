//! Servers with an untrusted certificate, and servers without TLS where TLS is required. Each is refused with
//! a message that says why, and receives no secrets of the real server.

use super::Peer;
use crate::support::{
    Krt, actor,
    runners::WireProtocol,
    team::{PASSWORD, version},
};
use futures::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A defect of a certificate.
#[derive(Debug, Clone, Copy)]
enum Fault {
    OfAnotherName,
    Expired,
    OfAnotherAuthority,
}

const FAULTS: [Fault; 3] = [Fault::OfAnotherName, Fault::Expired, Fault::OfAnotherAuthority];

impl Fault {
    /// The engine's error message.
    fn words(self) -> &'static str {
        match self {
            Self::OfAnotherName => "certificate not valid for name",
            Self::Expired => "certificate expired",
            Self::OfAnotherAuthority => "UnknownIssuer",
        }
    }

    /// The engine's hint; `option` is the flag that names an authority.
    fn hint(self, option: &str) -> String {
        match self {
            Self::OfAnotherName => "hint: connect by a name that its certificate is for".to_owned(),
            Self::Expired => "hint: renew its certificate".to_owned(),
            Self::OfAnotherAuthority => {
                format!("hint: name the authority that signed its certificate with {option}")
            }
        }
    }
}

/// A trusted authority in a file, and the package to run.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
    _folder: TempDir,
    actor: TempDir,
    described: TempDir,
}

fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Authority {
    fn new() -> Self {
        let (issuer, folder) = (issuer("ours"), tempfile::tempdir().unwrap());
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file, _folder: folder, actor: actor::package(""), described: version("described", "") }
    }

    /// The TLS configuration of a server with the fault.
    fn config(&self, fault: Fault) -> Arc<ServerConfig> {
        let name = if matches!(fault, Fault::OfAnotherName) { "elsewhere.test" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if matches!(fault, Fault::Expired) {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let other = issuer("another");
        let by = if matches!(fault, Fault::OfAnotherAuthority) { &other } else { &self.issuer };
        let certificate = params.signed_by(&key, by).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let mut config =
            config.with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// The bytes that a server has received, with or without TLS.
type Received = Arc<Mutex<Vec<u8>>>;

/// Sends a greeting, then speaks TLS.
fn with_tls(config: Arc<ServerConfig>, greeting: &'static str) -> (Peer, Received) {
    let heard = Received::default();
    let hears = Arc::clone(&heard);
    let peer = Peer::start(move |mut stream: TcpStream| {
        stream.write_all(greeting.as_bytes())?;
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        let mut stream = tokio_rustls::rustls::Stream::new(&mut tls, &mut stream);
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes)?;
        hears.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(())
    });
    (peer, heard)
}

/// Sends a greeting, then answers everything without TLS.
fn without_tls(greeting: &'static str, answer: &'static [u8]) -> (Peer, Received) {
    let heard = Received::default();
    let hears = Arc::clone(&heard);
    let peer = Peer::start(move |mut stream: TcpStream| {
        stream.write_all(greeting.as_bytes())?;
        let mut bytes = [0; 1024];
        loop {
            let count = stream.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            hears.lock().unwrap().extend_from_slice(&bytes[..count]);
            stream.write_all(answer)?;
        }
    });
    (peer, heard)
}

const GREETING: &str = "INFO {\"server_id\":\"A\",\"version\":\"2.10.0\",\"proto\":1,\"host\":\"localhost\",\
                        \"port\":4222,\"headers\":true,\"max_payload\":1048576,\"tls_required\":true}\r\n";
const GREETING_WITHOUT_TLS: &str = "INFO {\"server_id\":\"A\",\"version\":\"2.10.0\",\"proto\":1,\"host\":\
                                    \"localhost\",\"port\":4222,\"headers\":true,\"max_payload\":1048576}\r\n";

/// When the engine connects to such a server.
enum Start {
    Fails,
    Succeeds,
    /// The engine connects after the first measurement or trace.
    Measures,
}

/// Asserts that one record of the engine contains all of these words.
async fn says(what: &str, krt: Krt, start: Start, words: &[&str]) {
    let all = |text: &str| words.iter().all(|words| text.contains(words)) && !text.contains("s3cret");
    if matches!(start, Start::Fails) {
        let ended = krt.end().await;
        let said = ended.lines.last_message();
        assert!(ended.code == Some(1) && all(&said), "{what}: {words:?} in {}", ended.lines.text());
        return;
    }
    let service = krt.start().await;
    if matches!(start, Start::Measures) {
        service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    }
    service.lines.wait(&format!("{words:?} by {what}"), |record| all(&record.message)).await;
    service.stop().await;
}

fn nats(url: &str, authority: &Authority) -> Krt {
    let krt = Krt::run_at(authority.actor.path()).nats(url, WireProtocol::Core);
    krt.flag("--nats-ca", &authority.file)
}

fn mongo(port: u16, authority: &Authority) -> Krt {
    let file = authority.file.display();
    let url = format!(
        "mongodb://ada:s3cret@localhost:{port}/?tls=true&tlsCAFile={file}&serverSelectionTimeoutMS=2000"
    );
    Krt::run("context").flag("--mongo", url)
}

fn influx(port: u16, authority: &Authority) -> Krt {
    let krt = Krt::run("context").flag("--influx", format!("https://ada:s3cret@localhost:{port}"));
    krt.env("SSL_CERT_FILE", &authority.file)
}

fn traces(port: u16, protocol: &str, authority: &Authority) -> Krt {
    Krt::run("context")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{port}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret")
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.file)
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
}

fn openid(port: u16, authority: &Authority) -> Krt {
    Krt::serve(authority.described.path())
        .env("KRT_ADMIN_PASSWORD", PASSWORD)
        .env("KRT_OPENID_SECRET", "s3cret")
        .env("SSL_CERT_FILE", &authority.file)
        .flag("--openid-issuer", format!("https://localhost:{port}"))
        .flag("--openid-client", "krt")
        .flag("--openid-default-role", "viewer")
        .flag("--dashboard-url", "http://krt.test")
}

#[tokio::test]
async fn untrusted_certificates_are_refused_by_name() {
    let authority = Authority::new();
    let faults = FAULTS.map(async |fault| {
        let (words, config) = (fault.words(), authority.config(fault));
        let (peer, heard) = with_tls(Arc::clone(&config), GREETING);
        let url = format!("tls://ada:s3cret@localhost:{}", peer.port);
        let hint = fault.hint("--nats-ca");
        says("nats", nats(&url, &authority), Start::Fails, &["NATS at tls://localhost", words, &hint]).await;

        let (other, also) = with_tls(config, "");
        let hint = fault.hint("`tlsCAFile=FILE` in the URL");
        says(
            "mongo",
            mongo(other.port, &authority),
            Start::Fails,
            &["MongoDB at `mongodb://localhost", words, &hint],
        )
        .await;
        let hint = fault.hint("the variable SSL_CERT_FILE");
        let of_influx = ["InfluxDB at `https://localhost", words, &hint];
        says("influx", influx(other.port, &authority), Start::Measures, &of_influx).await;
        let of_openid = ["OpenID provider https://localhost", words, &hint];
        says("openid", openid(other.port, &authority), Start::Succeeds, &of_openid).await;
        let hint = fault.hint("OTEL_EXPORTER_OTLP_CERTIFICATE");
        for protocol in ["grpc", "http/protobuf"] {
            let krt = traces(other.port, protocol, &authority);
            says(protocol, krt, Start::Measures, &["traces are not exported", words, &hint]).await;
        }
        assert!(heard.lock().unwrap().is_empty() && also.lock().unwrap().is_empty(), "{fault:?}");
    });
    join_all(faults).await;
}

#[tokio::test]
async fn servers_without_tls_receive_nothing_when_tls_is_required() {
    let authority = Authority::new();
    let hint = "hint: check the address: there is no TLS on this port";
    let refused = b"-ERR 'Unknown Protocol Operation'\r\n";
    for scheme in ["tls", "nats"] {
        let (peer, heard) = without_tls(GREETING_WITHOUT_TLS, refused);
        let url = format!("{scheme}://ada:s3cret@localhost:{}", peer.port);
        let words = format!("NATS at {scheme}://localhost");
        says(scheme, nats(&url, &authority), Start::Fails, &[&words, hint]).await;
        only_tls(scheme, &heard);
    }
    let (peer, heard) = without_tls("", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    says("mongo", mongo(peer.port, &authority), Start::Fails, &["MongoDB at `mongodb://localhost", hint])
        .await;
    says("influx", influx(peer.port, &authority), Start::Measures, &["InfluxDB at `https://localhost", hint])
        .await;
    says(
        "openid",
        openid(peer.port, &authority),
        Start::Succeeds,
        &["OpenID provider https://localhost", hint],
    )
    .await;
    for protocol in ["grpc", "http/protobuf"] {
        let krt = traces(peer.port, protocol, &authority);
        says(protocol, krt, Start::Measures, &["traces are not exported", hint]).await;
    }
    only_tls("the others", &heard);
}

/// Asserts that clients began with a TLS record, and sent no secret.
fn only_tls(what: &str, heard: &Received) {
    let heard = heard.lock().unwrap();
    assert_eq!(heard.first(), Some(&0x16), "{what}");
    assert!(!String::from_utf8_lossy(&heard).contains("s3cret"), "{what}");
}
