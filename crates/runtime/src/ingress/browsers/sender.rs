//! Finds the page that made a browser send a request, by headers that no page can set.

use super::hosts::authorities;
use http::{HeaderName, HeaderValue, Method, Request, header::ORIGIN};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'r> {
    /// A page of this port's origin, the user of the browser, or a client that is no browser.
    Own,
    /// A page of another origin: the origin, or `null` if the browser hides it.
    Page(&'r str),
    /// A link on another site, which opens here.
    Link,
    /// A page of another origin that the browser does not name, as for an image.
    Unnamed,
}

impl<'r> Sender<'r> {
    /// Returns the sender of a request. Browsers without `Sec-Fetch-Site` still send `Origin`.
    pub fn of<B>(request: &'r Request<B>) -> Self {
        let site = text(request, &SITE);
        if site == "same-origin" {
            return Self::Own;
        }
        let origins = request.headers().get_all(ORIGIN).iter();
        let mut origins = origins.map(|origin| origin.to_str().unwrap_or("null"));
        if let Some(foreign) = origins.find(|origin| !is_own(request, origin)) {
            return Self::Page(foreign);
        }
        match site {
            "" | "none" => Self::Own,
            _ if request.headers().contains_key(ORIGIN) => Self::Own,
            _ if is_opened(request) => Self::Link,
            _ => Self::Unnamed,
        }
    }
}

/// Returns whether an origin is the request's own host. Schemes are not compared: a proxy may use TLS.
fn is_own<B>(request: &Request<B>, origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let mut names = authorities(request).peekable();
    names.peek().is_some() && names.all(|name| name.eq_ignore_ascii_case(host))
}

/// Returns whether the browser shows the answer as a page of its own.
fn is_opened<B>(request: &Request<B>) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    reads && text(request, &MODE) == "navigate" && matches!(text(request, &DESTINATION), "" | "document")
}

fn text<'r, B>(request: &'r Request<B>, name: &HeaderName) -> &'r str {
    // Browsers send no value that is not text.
    request.headers().get(name).map(HeaderValue::to_str).map_or("", |value| value.unwrap_or("?"))
}
