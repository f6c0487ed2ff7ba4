//! Where a server is.

use std::{fmt, net::SocketAddr, str::FromStr};
use tonic::{codegen::http::uri::Authority, transport::Uri};

/// A host and a port, as in `127.0.0.1:9000` or `http://localhost:9000`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Address(Authority);

/// Why a text is not an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("expected HOST:PORT, such as 127.0.0.1:9000 or http://localhost:9000")]
    Form,
    #[error("connections with TLS are not supported; hint: use http://")]
    Tls,
}

impl Address {
    pub(super) fn uri(&self) -> Uri {
        let uri = Uri::builder().scheme("http").authority(self.0.clone()).path_and_query("/").build();
        uri.expect("an authority makes a URI")
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with("https://") {
            return Err(Error::Tls);
        }
        let text = text.strip_prefix("http://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let authority: Authority = text.parse().map_err(|_| Error::Form)?;
        let whole = authority.port_u16().is_some() && !authority.host().is_empty();
        if whole && !text.contains('@') { Ok(Self(authority)) } else { Err(Error::Form) }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string().parse().expect("a socket's address is an authority"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
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
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.uri().to_string(), expected, "{text}");
        }
        for bad in ["", "localhost", ":9000", "host:", "host:99999", "host:1/path", "http://", "me@host:1"] {
            assert_eq!(bad.parse::<Address>(), Err(Error::Form), "{bad}");
        }
        assert_eq!("https://host:1".parse::<Address>(), Err(Error::Tls));
    }

    #[test]
    fn sockets() {
        for text in ["127.0.0.1:9000", "[::1]:9000"] {
            let socket: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(socket).to_string(), text);
        }
    }
}
