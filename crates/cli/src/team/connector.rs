//! Connections to a server, and connection errors.

use super::Server;
use crate::{
    error::{Context as _, Error, Hint as _, Result, error},
    tls::{self, Trusted},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{path::Path, time::Duration};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// Creates a connector for a server.
pub(super) fn connector(server: &Server, cacert: Option<&Path>) -> Result<Connector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    let tls = match cacert {
        Some(path) if server.is_secure() => tls::client(Trusted::File(path))
            .context("failed to read what --cacert names")
            .hint("it takes a PEM file with certificates")?,
        None if server.is_secure() => tls::client(Trusted::System)
            .context("failed to read the certificates that the system trusts")
            .hint("--cacert names others")?,
        // No certificate is verified, so a system without certificates works, too.
        _ => tls::client(Trusted::None)?,
    };
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

/// Explains a failed connection, with a hint.
pub(super) fn unreachable(server: &Server, error: hyper_util::client::legacy::Error) -> Error {
    let connecting = error.is_connect();
    let error = Error::plain(error);
    let cause = error.root_cause();
    let hint = if !connecting {
        "the connection was lost; check what was done before you try again"
    } else if server.is_secure() {
        "--cacert names the certificates of an authority of your own; without TLS it is http://"
    } else {
        "is `krt serve` running there? --server or `krt login URL` names another"
    };
    error!("failed to reach `{server}`: {cause}"; hint: "{hint}")
}
