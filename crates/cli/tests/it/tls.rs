//! `krt call` over TLS.

use crate::{
    shop::{Reflection, Shop},
    support::{krt, run_with},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// A TLS proxy in front of a server, with a self-signed certificate for `localhost`.
struct TlsProxy {
    port: u16,
    certificate: PathBuf,
    _folder: TempDir,
    _runtime: Runtime,
}

impl TlsProxy {
    fn before(server: SocketAddr) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, cert.pem()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], signing_key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((launch, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Fails if the client does not trust the certificate.
                    let Ok(mut launch) = acceptor.accept(launch).await else { return };
                    let mut inside = TcpStream::connect(server).await.unwrap();
                    let _ = copy_bidirectional(&mut launch, &mut inside).await;
                });
            }
        });
        Self { port, certificate, _folder: folder, _runtime: runtime }
    }
}

fn call(address: &str, cacert: Option<&PathBuf>) -> crate::support::CommandOutput {
    let mut command = krt();
    command.args(["call", "--address", address, "Entrypoint/Price", r#"{"item": "tea", "count": 2}"#]);
    if let Some(path) = cacert {
        command.arg("--cacert").arg(path);
    }
    run_with(command, "")
}

#[test]
fn tls_servers_need_a_trusted_authority() {
    let shop = Shop::open(Reflection::BOTH);
    let guard = TlsProxy::before(shop.address);
    let address = format!("https://localhost:{}", guard.port);
    let trusted = call(&address, Some(&guard.certificate));
    assert_eq!((trusted.code, &*trusted.stderr), (Some(0), ""));
    assert!(trusted.stdout.contains(r#""cents":"500""#), "{}", trusted.stdout);

    let unknown = call(&address, None);
    assert_eq!((unknown.code, &*unknown.stdout), (Some(1), ""));
    assert!(unknown.stderr.contains("UnknownIssuer"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("hint: --cacert names"), "{}", unknown.stderr);

    let other_name = call(&format!("https://127.0.0.1:{}", guard.port), Some(&guard.certificate));
    assert_eq!(other_name.code, Some(1));
    assert!(other_name.stderr.contains("not valid for name"), "{}", other_name.stderr);
}

#[test]
fn invalid_certificates_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let missing = call("https://localhost:1", Some(&file));
    assert!(missing.stderr.contains("which --cacert names"), "{}", missing.stderr);
    std::fs::write(&file, "not a certificate").unwrap();
    let wrong = call("https://localhost:1", Some(&file));
    assert!(
        wrong.stderr.contains("holds no certificate\nhint: --cacert takes a PEM file"),
        "{}",
        wrong.stderr
    );
}
