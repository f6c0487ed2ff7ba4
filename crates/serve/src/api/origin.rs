//! The public address of the dashboard, where it differs from the listener's own.

use super::{App, session::Connection};
use http::{HeaderMap, Uri, uri::Authority};
use ipnet::IpNet;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// Scheme and host, as in `https://krt.example.com`. With `https` and a listener without TLS, a proxy
/// terminates TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    host: Authority,
}

impl Origin {
    /// Whether the scheme is `https`.
    pub fn is_secure(&self) -> bool {
        self.tls
    }

    /// Whether its host, without a port, is this one.
    pub(super) fn is_host(&self, host: &str) -> bool {
        let own = self.host.host();
        own.trim_start_matches('[').trim_end_matches(']').eq_ignore_ascii_case(host)
    }

    /// Whether it equals an `Origin` header.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let scheme = if self.tls { ("https", "443") } else { ("http", "80") };
        let Some((named, host)) = origin.split_once("://") else { return false };
        let own = self.host.as_str();
        let own = own.strip_suffix(scheme.1).and_then(|host| host.strip_suffix(':')).unwrap_or(own);
        named == scheme.0 && own.eq_ignore_ascii_case(host)
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
    /// Whether the browser speaks TLS, to this listener or to a proxy in front of it.
    pub(super) fn is_secure(&self, connection: Connection) -> bool {
        connection.tls || self.0.public.dashboard.as_ref().is_some_and(|origin| origin.tls)
    }

    /// The client's address, through trusted proxies.
    pub(super) fn client(&self, connection: Connection, headers: &HeaderMap) -> IpAddr {
        client(connection.peer.ip(), headers, &self.0.public.proxies)
    }
}

/// The last address that is not a trusted proxy. Each proxy appends its peer to `X-Forwarded-For`; entries
/// before an untrusted address can be forged.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let seen = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut nearest = peer.to_canonical();
    for text in seen {
        let Some(address) = address(text.trim()).filter(|_| trusted(&nearest)) else { break };
        nearest = address;
    }
    nearest
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.as_ref().map(IpAddr::to_canonical)
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
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert!(origin("https://A.example:8443").is_host("a.Example"));
        assert!(!origin("https://a.example").is_host("b.a.example"));
        assert!(origin("http://[::1]:9001").is_host("::1"));
        for (own, named, expected) in [
            ("https://A.example", "https://a.example", true),
            ("https://a.example:443", "https://a.example", true),
            ("https://a.example:8443", "https://a.example:8443", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "null", false),
        ] {
            assert_eq!(origin(own).is_origin(named), expected, "{own} {named}");
        }
    }

    #[test]
    fn client_addresses_behind_proxies() {
        let rows: [(&str, &[&str], &str); 12] = [
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("::ffff:10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.9, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.9", "192.0.2.7"], "192.0.2.7"),
            // Two proxies in a row.
            ("10.0.0.1", &["192.0.2.9, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.7:1234"], "192.0.2.7"),
            ("10.0.0.1", &["[2001:db8::7]:1234"], "2001:db8::7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            // An entry that does not parse ends the search.
            ("10.0.0.1", &["192.0.2.7, unknown"], "10.0.0.1"),
            // Headers of a peer that is not a proxy are ignored.
            ("192.0.2.1", &["192.0.2.7"], "192.0.2.1"),
            ("192.0.2.1", &["10.0.0.1"], "192.0.2.1"),
        ];
        let proxies = ["10.0.0.0/30".parse().unwrap()];
        for (peer, lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = client(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
