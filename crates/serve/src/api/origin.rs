//! By which name browsers reach the dashboard, where that is not the port's own.

use super::{App, session::Connection};
use http::{HeaderMap, Uri, uri::Authority};
use std::{fmt, net::IpAddr, str::FromStr};

/// Scheme and host, as in `https://krt.example.com`. Where TLS is spoken there and not here, it is a
/// proxy that speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    host: Authority,
}

impl Origin {
    /// Whether it is this host, as a request names it.
    pub(super) fn is(&self, host: &str) -> bool {
        self.host.as_str().eq_ignore_ascii_case(host)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be a scheme and a host, such as https://krt.example.com");
        let parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let tls = match parts.scheme.as_ref().map(http::uri::Scheme::as_str) {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let host = parts.authority.filter(|host| !host.as_str().contains('@')).ok_or_else(wrong)?;
        match parts.path_and_query {
            Some(path) if path != "/" => Err(wrong()),
            _ => Ok(Self { tls, host }),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.host)
    }
}

impl App {
    /// Whether the browser speaks TLS, to this port or to a proxy before it.
    pub(super) fn is_secure(&self, connection: Connection) -> bool {
        connection.tls || self.0.public.dashboard.as_ref().is_some_and(|origin| origin.tls)
    }

    /// Who is at the other end: what a proxy says of it, where there must be one.
    pub(super) fn client(&self, connection: Connection, headers: &HeaderMap) -> IpAddr {
        let peer = connection.peer.ip();
        if connection.tls || !self.is_secure(connection) {
            return peer;
        }
        // The last address is the one that the proxy has seen; what stands before it anybody may write.
        let mut lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
        let last = lines.next_back().and_then(|line| line.rsplit(',').next());
        last.and_then(|address| address.trim().parse().ok()).unwrap_or(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for good in ["https://krt.example.com", "http://10.0.0.1:9001", "https://[::1]:9001"] {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
        assert_eq!("https://a.example/".parse::<Origin>().unwrap().to_string(), "https://a.example");
        for bad in ["", "krt.example.com", "ftp://a.example", "https://a.example/krt", "https://me@a.example"]
        {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        assert!("https://A.example".parse::<Origin>().unwrap().is("a.Example"));
    }
}
