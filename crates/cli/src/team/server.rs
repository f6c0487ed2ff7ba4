//! The URL of a server and of its API paths.

use http::{Uri, uri::Scheme};
use krt_runtime::ingress::browsers::is_loopback;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The URL of a server: `http://` or `https://`, host, port, and optionally a path before the API's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Server(String);

/// The reason a text is not a server's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub(crate) enum NoServer {
    /// Not a URL of a server.
    #[error("expected a server's URL, such as https://krt.example:9001")]
    Form,
    /// The URL contains a user.
    #[error("expected a server's URL without a user")]
    #[diagnostic(help("`krt login --user`"))]
    User,
}

impl Server {
    /// Whether the server uses TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Whether requests to it leave this machine unencrypted.
    pub(crate) fn is_open(&self) -> bool {
        let uri: Uri = self.0.parse().expect("it was parsed before");
        !self.is_secure() && !uri.host().is_some_and(is_loopback)
    }

    /// The URL of an API path.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.0)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Server {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let uri: Uri = text.parse().map_err(|_| NoServer::Form)?;
        let known = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let (Some(scheme), Some(authority), true) = (uri.scheme_str(), uri.authority(), known) else {
            return Err(NoServer::Form);
        };
        if authority.as_str().contains('@') {
            return Err(NoServer::User);
        }
        if uri.query().is_some() || authority.host().is_empty() {
            return Err(NoServer::Form);
        }
        let host = authority.as_str().to_ascii_lowercase();
        Ok(Self(format!("{scheme}://{host}{}", uri.path().trim_end_matches('/'))))
    }
}

impl TryFrom<String> for Server {
    type Error = NoServer;

    fn try_from(text: String) -> Result<Self, NoServer> {
        text.parse()
    }
}

impl From<Server> for String {
    fn from(server: Server) -> Self {
        server.0
    }
}

/// The characters that are escaped in a path.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// Escapes a text as one path segment.
pub(crate) fn segment(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, &ESCAPED)
}

/// Formats pairs as a query string.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("https://Krt.Example/", "https://krt.example"),
            ("https://krt.example:9001/team/", "https://krt.example:9001/team"),
            ("HTTP://[::1]:9001", "http://[::1]:9001"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), expected, "{text}");
        }
        for bad in ["", "krt.example", "krt.example:9001", "ftp://krt.example", "http://", "https://h?a=b"] {
            assert_eq!(bad.parse::<Server>(), Err(NoServer::Form), "{bad}");
        }
        assert_eq!("https://ada:secret@krt.example".parse::<Server>(), Err(NoServer::User));
    }

    #[test]
    fn unencrypted_remote_urls() {
        for (text, expected) in [
            ("http://127.0.0.1:9001", false),
            ("http://localhost", false),
            ("http://[::1]:9001", false),
            ("https://krt.example", false),
            ("http://krt.example", true),
            ("http://10.0.0.1:9001", true),
            ("http://127.0.0.1.example.com", true),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().is_open(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_is_one_path_segment() {
        for (text, expected) in
            [("v1", "v1"), ("ada@krt.example", "ada@krt.example"), ("../a?b#c d%", "..%2Fa%3Fb%23c%20d%25")]
        {
            assert_eq!(segment(text).to_string(), expected);
        }
    }
}
