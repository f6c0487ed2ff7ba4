//! The names that clients may use for a port.
//!
//! After DNS rebinding (a page's name is pointed at the loopback once the page has loaded), a browser takes
//! the page for the port's own origin. The name in its requests reveals it.

use super::shown;
use http::{Request, header::HOST, uri::Authority};
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The names that a port answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// All: other machines reach it under names that it does not know.
    Any,
    /// The loopback's names, and these.
    Loopback(Vec<HostName>),
}

/// A host name or address, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// A name that the port does not answer to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` does not name this machine's loopback")]
pub struct ForeignHost {
    name: String,
}

impl Hosts {
    /// Returns the names of a port at an address. On the loopback, `also` adds further names.
    pub fn of(address: SocketAddr, also: Vec<HostName>) -> Self {
        if address.ip().is_loopback() { Self::Loopback(also) } else { Self::Any }
    }

    /// Checks every name in a request: `:authority`, or that of an absolute URL, and `Host`. `is_known`
    /// accepts further names, in lower case.
    pub fn check<B>(&self, request: &Request<B>, is_known: impl Fn(&str) -> bool) -> Result<(), ForeignHost> {
        let Self::Loopback(names) = self else { return Ok(()) };
        let is_own = |authority: &str| {
            if is_loopback(authority) || is_of_socket(authority) {
                return true;
            }
            let host = host(authority).to_ascii_lowercase();
            names.iter().any(|name| name.0 == host) || is_known(&host)
        };
        match authorities(request).find(|authority| !is_own(authority)) {
            Some(foreign) => Err(ForeignHost { name: shown(foreign).to_owned() }),
            None => Ok(()),
        }
    }
}

/// Returns the host names in a request. A name that is not text becomes one that no host has.
pub(super) fn authorities<B>(request: &Request<B>) -> impl Iterator<Item = &str> {
    let headers = request.headers().get_all(HOST).iter();
    let headers = headers.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    request.uri().authority().map(Authority::as_str).into_iter().chain(headers)
}

/// Returns whether a client connects by a socket path or without a name, which no browser does.
fn is_of_socket(authority: &str) -> bool {
    let escaped = authority.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2f"));
    authority.is_empty() || authority.starts_with('/') || escaped
}

/// Returns whether a host, with or without a port, is a name of this machine's loopback.
pub fn is_loopback(authority: &str) -> bool {
    let name = host(authority);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Returns the host of an authority, without its port, or an IPv6 address without its brackets.
fn host(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let (name, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) if name.parse::<Ipv6Addr>().is_ok() => (name, ""),
        Some((name, port)) if name.parse::<Ipv6Addr>().is_ok() && port.starts_with(':') => (name, &port[1..]),
        Some(_) => return authority,
        None => authority.rsplit_once(':').unwrap_or((authority, "")),
    };
    if is_port(port) { name } else { authority }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` must be a host's name without a scheme and a port, such as krt.local");
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let is_address = bare.parse::<IpAddr>().is_ok();
        let is_part = |part: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !part.is_empty() && part.bytes().all(is_plain)
        };
        match is_address || text.split('.').all(is_part) {
            true => Ok(Self(bare.to_ascii_lowercase())),
            false => Err(wrong()),
        }
    }
}
