//! How servers are reached by HTTP, with TLS or without.

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::io;

/// What connects to a server by HTTP/1, and trusts whom the system trusts.
///
/// # Errors
///
/// When the certificates that the system trusts cannot be read.
pub fn https() -> io::Result<HttpsConnector<HttpConnector>> {
    Ok(HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build())
}
