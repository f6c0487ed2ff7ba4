//! Connections to a server, and what to say where there is none.

use super::Server;
use crate::pem;
use anyhow::Context as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{path::Path, sync::Arc, time::Duration};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// What connects to a server.
pub(super) fn connector(server: &Server, cacert: Option<&Path>) -> anyhow::Result<Connector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(PATIENCE));
    http.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new();
    let builder = match cacert {
        Some(path) if server.is_secure() => {
            let roots = pem::authorities(path)
                .context("failed to read what --cacert names; hint: it takes a PEM file with certificates")?;
            builder.with_tls_config(trusting(roots)?)
        }
        None if server.is_secure() => builder
            .with_provider_and_native_roots(ring::default_provider())
            .context("failed to read the certificates that the system trusts; hint: --cacert names others")?,
        // Nobody is asked for a certificate, so a system without any will do.
        _ => builder.with_tls_config(trusting(RootCertStore::empty())?),
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

fn trusting(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Why a server cannot be spoken with, and what to do.
pub(super) fn unreachable(server: &Server, error: hyper_util::client::legacy::Error) -> anyhow::Error {
    let connecting = error.is_connect();
    let error = anyhow::Error::new(error);
    let cause = error.root_cause();
    let hint = if !connecting {
        "the connection broke off; look at what was done before you try again"
    } else if server.is_secure() {
        "--cacert names the certificates of an authority of your own; without TLS it is http://"
    } else {
        "is `krt serve` running there? --server or `krt login URL` names another"
    };
    anyhow::anyhow!("failed to reach `{server}`: {cause}\nhint: {hint}")
}
