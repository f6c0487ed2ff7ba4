//! Cookies.

use axum::response::Response;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};

/// A cookie that scripts cannot read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    pub(super) name: &'static str,
    /// The path that limits where browsers send it.
    pub(super) path: &'static str,
    /// The `SameSite` attribute.
    pub(super) same_site: &'static str,
}

impl Cookie {
    /// Sets the cookie for this many seconds; 0 deletes it.
    pub(super) fn set(&self, response: &mut Response, value: &str, seconds: u64, secure: bool) {
        let Self { name, path, same_site } = self;
        let secure = if secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }

    /// The cookie's value, if the browser sent it.
    pub(super) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(named, _)| *named == self.name).map(|(_, value)| value)
    }
}
