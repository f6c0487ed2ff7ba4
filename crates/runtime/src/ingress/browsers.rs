//! Rules for browsers: the names they may use for a port, and the sites whose pages may call it.
//!
//! - [`hosts`]: names of the port. A name that an attacker points at the loopback is refused.
//! - [`sender`]: the page that made a browser send a request.
//! - [`origins`]: the pages that may call the service; [`cors`]: the response headers for them.
//!
//! Other clients send none of these headers except the name of the port.

mod cors;
mod hosts;
mod origins;
mod sender;

pub use hosts::{ForeignHost, HostName, Hosts, is_loopback};
pub use origins::{Allowed, Origins};
pub use sender::Sender;

pub(super) use cors::vary;

use cors::Cors;
use http::{Method, Request};
use std::net::SocketAddr;

/// Longest part of a header that an error repeats, in bytes.
const MAX_SHOWN: usize = 200;

/// The browser requests that the service answers.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The names of its port.
    pub hosts: Hosts,
    /// The origins whose pages may call it.
    pub origins: Origins,
}

/// Reasons to refuse a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub(super) enum Refused {
    /// The request names another host.
    #[error("{0}")]
    #[diagnostic(help("`--allow-host` adds a name of this port"))]
    Host(#[from] ForeignHost),
    /// A page of another origin sent it.
    #[error("pages of the origin `{origin}` may not call this service")]
    #[diagnostic(help("`--allow-origin {origin}` allows it"))]
    Origin {
        /// The origin.
        origin: String,
    },
    /// A page of another origin sent it, and the browser did not name the origin.
    #[error("a page of another site may not call this service")]
    #[diagnostic(help("`--allow-origin` allows the origin of a page"))]
    CrossSite,
}

impl Rules {
    /// Returns the rules of a port on an address: no page of another origin may call it.
    pub fn of(address: SocketAddr) -> Self {
        Self { hosts: Hosts::of(address, Vec::new()), origins: Origins::default() }
    }

    /// Checks a request. Returns the CORS headers if a page of another origin may send it. `is_known` accepts
    /// further names of the port.
    pub(super) fn check<B>(
        &self,
        request: &Request<B>,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Option<Cors>, Refused> {
        self.hosts.check(request, is_known)?;
        match Sender::of(request) {
            Sender::Own => Ok(None),
            Sender::Page(origin) => match self.origins.find(origin) {
                Some(allowed) => Ok(Some(Cors::of(allowed, request))),
                None => Err(Refused::Origin { origin: shown(origin).to_owned() }),
            },
            // Links may open the page at `/`, which lists the methods.
            Sender::Link if request.uri().path() == "/" => Ok(None),
            Sender::Link | Sender::Unnamed if self.origins.all() => Ok(None),
            Sender::Link | Sender::Unnamed => Err(Refused::CrossSite),
        }
    }
}

/// Returns whether caches may keep a response; they must then separate the answers by origin.
pub(super) fn is_cacheable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Returns the start of a client's text.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SHOWN)]
}

#[cfg(test)]
mod tests;
