//! The server's properties, the API's document, and the dashboard's files.

use super::{
    App,
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
};
use crate::{Backend, dashboard, openapi};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        REFERRER_POLICY, VARY,
    },
};
use krt_api::server::{Limits, Mode, OpenId, Server};

/// The header of a compressed body.
const GZIP: (HeaderName, HeaderValue) = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));

pub(super) async fn server(State(app): State<App>) -> JsonResponse<Server> {
    let (mode, sign_in, package_bytes) = match app.backend() {
        Backend::Team(team) => (Mode::Serve, true, team.max_package()),
        Backend::Solo(_) => (Mode::Run, false, 0),
    };
    let public = &app.0.public;
    let limits = Limits { package_bytes, message_bytes: public.max_message };
    response::ok(Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode,
        public_address: public.address.clone(),
        public_tls: public.tls,
        sign_in,
        openid: app.0.openid.as_ref().map(|provider| OpenId { name: provider.name().to_owned() }),
        limits,
    })
}

pub(super) async fn openapi(asked: HeaderMap) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if reads_gzip(&asked) {
        return (headers, [GZIP], openapi::COMPRESSED).into_response();
    }
    (headers, openapi::document()).into_response()
}

/// Serves paths outside of the API: a file of the dashboard, or its page.
pub(super) async fn page(method: Method, uri: Uri, asked: HeaderMap) -> Result<Response, Refusal> {
    if uri.path().starts_with("/api/") {
        return Err(Refusal::missing("such path"));
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return Err(Refusal::new(Code::MethodNotAllowed, "the dashboard is only read"));
    }
    let asset = dashboard::find(uri.path()).ok_or_else(|| Refusal::missing("such file"))?;
    let kept = if asset.lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (CACHE_CONTROL, HeaderValue::from_static(kept)),
        (CONTENT_SECURITY_POLICY, dashboard::POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if asset.compressed && reads_gzip(&asked) {
        return Ok((headers, [GZIP], asset.content()).into_response());
    }
    Ok((headers, asset.plain()).into_response())
}

/// Whether a client reads gzip (RFC 9110, 12.5.3): it names it, with a weight that is not zero.
fn reads_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches("q=").trim();
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse() != Ok(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_clients_that_name_it() {
        let cases = [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip ; q=0.001", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("identity", false),
            ("", false),
        ];
        for (value, expected) in cases {
            let asked = [(ACCEPT_ENCODING, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(reads_gzip(&asked), expected, "{value}");
        }
        assert!(!reads_gzip(&HeaderMap::new()));
    }
}
