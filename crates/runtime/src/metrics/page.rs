//! `GET /metrics`, on its own port.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use http_body_util::Full;

/// The content type (OpenMetrics 1.0).
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What no answer is without: no page of another site embeds it, and no browser guesses its type.
const PROTECTION: [(HeaderName, HeaderValue); 2] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Answers a request with the output of `text`.
pub fn answer<B>(request: &Request<B>, text: impl FnOnce() -> String) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => respond(StatusCode::OK, TEXT, text()),
        _ => respond(StatusCode::NOT_FOUND, PLAIN, "the metrics are at /metrics\n".to_owned()),
    }
}

/// Answers a request that may not be made.
pub fn refuse(reason: &str) -> Response<Full<Bytes>> {
    respond(StatusCode::FORBIDDEN, PLAIN, format!("{reason}\n"))
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().extend(PROTECTION);
    response
}
