//! HTTP connections to servers, with TLS or without.

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::io;

/// How an authority is trusted, beside those of the system.
pub const AUTHORITY_HINT: &str = "the variable SSL_CERT_FILE";

/// What connects to a server by HTTP/1, and trusts whom the system trusts.
///
/// # Errors
///
/// When the system's certificates cannot be read.
pub fn https() -> io::Result<HttpsConnector<HttpConnector>> {
    Ok(HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build())
}
