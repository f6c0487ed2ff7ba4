//! Addresses of gRPC servers.

use std::{fmt, net::SocketAddr, str::FromStr};
use tonic::{codegen::http::uri::Authority, transport::Uri};

/// A host and a port, as in `127.0.0.1:9000`, `http://localhost:9000` or `https://krt.example:443`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Address {
    authority: Authority,
    tls: bool,
}

/// A text that is not an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, such as 127.0.0.1:9000, http://localhost:9000 or https://krt.example:443")]
pub(crate) struct Error;

impl Address {
    /// Whether to connect with TLS.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// The URI of a path on the server, which begins with `/`.
    pub(crate) fn at(&self, path: &'static str) -> Uri {
        let scheme = if self.tls { "https" } else { "http" };
        let uri =
            Uri::builder().scheme(scheme).authority(self.authority.clone()).path_and_query(path).build();
        uri.expect("an authority and a path make a URI")
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://").unwrap_or(text)),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: Authority = rest.parse().map_err(|_| Error)?;
        let whole = authority.port_u16().is_some() && !authority.host().is_empty();
        if whole && !rest.contains('@') { Ok(Self { authority, tls }) } else { Err(Error) }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let authority = address.to_string().parse().expect("a socket's address is an authority");
        Self { authority, tls: false }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.authority, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
            ("http://localhost:80/", "http://localhost:80/"),
            ("[::1]:9000", "http://[::1]:9000/"),
            ("a.example:1", "http://a.example:1/"),
            ("https://a.example:443", "https://a.example:443/"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.at("/").to_string(), expected, "{text}");
        }
        for bad in [
            "",
            "localhost",
            ":9000",
            "host:",
            "host:99999",
            "host:1/path",
            "http://",
            "https://",
            "ftp://host:1",
            "me@host:1",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(Error), "{bad}");
        }
    }

    #[test]
    fn sockets() {
        for text in ["127.0.0.1:9000", "[::1]:9000"] {
            let socket: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(socket).to_string(), text);
        }
    }
}
