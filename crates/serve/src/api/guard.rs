//! Whether who asks may: signed in, with the role, and not led here by a page from elsewhere.

use super::{
    App,
    refusal::{Code, Refusal},
    who::{By, Who},
};
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{HOST, ORIGIN},
};
use krt_registry::Role;
use std::net::IpAddr;

/// By which names the port may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By those of this machine only: a page from elsewhere whose name was turned to the loopback is
    /// refused.
    Loopback,
    /// By any.
    Anywhere,
}

/// What a path asks of who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// To be signed in, with at least this role.
    Role(Role),
}

/// The header that names a session's CSRF token.
const CSRF: &str = "x-csrf-token";

pub(crate) fn unauthenticated() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "nobody is signed in; hint: sign in, or send `authorization: Bearer TOKEN`",
    )
}

fn forbidden(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Forbidden, message)
}

/// Lets a request in, with who asks, or answers why not.
pub(crate) async fn guard(app: App, need: Need, mut request: Request, next: Next) -> Response {
    match check(&app, need, request.method(), request.headers()).await {
        Ok(Some(who)) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn check(app: &App, need: Need, method: &Method, headers: &HeaderMap) -> Result<Option<Who>, Refusal> {
    check_host(app, headers)?;
    let Need::Role(role) = need else { return Ok(None) };
    let who = app.who(headers).await?.ok_or_else(unauthenticated)?;
    if changes(method) {
        check_origin(&who.by, headers)?;
    }
    match who.role >= role {
        true => Ok(Some(who)),
        false => Err(forbidden(format!("this needs the role {role}, `{}` is {}", who.login, who.role))),
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what a page from elsewhere could have made a browser send.
fn check_origin(by: &By, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    match by {
        By::Token => Ok(()),
        By::Session(user) => {
            let csrf = std::str::from_utf8(text(CSRF)).unwrap_or_default();
            match user.accepts(csrf) {
                true => Ok(()),
                false => Err(forbidden(format!("the header `{CSRF}` is not that of the session"))),
            }
        }
        By::Nothing => {
            let origin = std::str::from_utf8(text(ORIGIN.as_str())).unwrap_or("null");
            let host = std::str::from_utf8(text(HOST.as_str())).unwrap_or_default();
            match origin.is_empty() || origin.split_once("://").is_some_and(|(_, of)| of == host) {
                true => Ok(()),
                false => Err(forbidden("the request comes from a page of another site")),
            }
        }
    }
}

fn check_host(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    if app.0.access == Access::Anywhere {
        return Ok(());
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    match is_loopback(host) || app.0.public.dashboard.as_ref().is_some_and(|origin| origin.is(host)) {
        true => Ok(()),
        false => Err(forbidden(format!(
            "`{host}` is no name of this machine's loopback; hint: behind a proxy, give `krt serve` --dashboard-url"
        ))),
    }
}

/// Whether a host, with or without a port, is a name of this machine's loopback.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_loopback() {
        for good in ["localhost", "localhost:9001", "127.0.0.1:80", "[::1]:9001", "127.1.2.3"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["example.com", "127.0.0.1.example.com", "0.0.0.0:9001", "10.0.0.1", ""] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_from_elsewhere_changes_nothing() {
        let headers = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:9001"));
            origin.map(|origin| headers.insert(ORIGIN, HeaderValue::from_static(origin)));
            headers
        };
        let allowed = |origin| check_origin(&By::Nothing, &headers(origin)).is_ok();
        assert!(allowed(None) && allowed(Some("http://127.0.0.1:9001")));
        assert!(!allowed(Some("http://127.0.0.1:1")) && !allowed(Some("null")));
        assert!(!allowed(Some("https://example.com")));
    }
}
