//! What browsers keep, and send again.

use axum::response::Response;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};

/// A cookie of ours; no script sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    pub(super) name: &'static str,
    /// Below which path it is sent.
    pub(super) path: &'static str,
    /// What browsers do with it when a page from elsewhere leads here.
    pub(super) same_site: &'static str,
}

impl Cookie {
    /// Gives it to a browser, which keeps it for so many seconds: 0 takes it away.
    pub(super) fn set(&self, response: &mut Response, value: &str, seconds: u64, secure: bool) {
        let Self { name, path, same_site } = self;
        let secure = if secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }

    /// Its value, if the browser sends it.
    pub(super) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(named, _)| *named == self.name).map(|(_, value)| value)
    }
}
