//! The headers that let a page of another origin call and read the answer
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>, <https://connectrpc.com/docs/cors>).
//!
//! The lists are fixed: nothing from a request is repeated.

use super::origins::Allowed;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, VARY,
    },
};

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// Headers that clients send: Connect's and gRPC's, the runtime and version, a token, and a trace.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, content-encoding, accept-encoding, connect-protocol-version, connect-timeout-ms, \
     connect-accept-encoding, connect-content-encoding, grpc-timeout, grpc-encoding, grpc-accept-encoding, \
     x-user-agent, authorization, krt-runtime, krt-version, traceparent, tracestate",
);
/// Headers that pages may read, besides the few that they always may.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-encoding, connect-content-encoding, connect-accept-encoding, grpc-status, grpc-message, \
     grpc-status-details-bin, grpc-encoding, grpc-accept-encoding, accept-post, accept-encoding, allow, \
     traceparent, tracestate",
);
/// How long a browser may cache the answer to a preflight, in seconds; Chromium's maximum.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The headers for the browser of a page that may call.
#[derive(Debug)]
pub(in crate::ingress) struct Cors {
    origin: HeaderValue,
    credentials: bool,
    preflight: bool,
}

impl Cors {
    /// Returns the headers that allow the page to send a request.
    pub(super) fn of<B>(allowed: &Allowed, request: &Request<B>) -> Self {
        let (origin, credentials) = match allowed {
            Allowed::All => (HeaderValue::from_static("*"), false),
            Allowed::Origin(named) => {
                let value = HeaderValue::from_str(named).expect("an origin is visible ASCII");
                (value, true)
            }
        };
        let asks = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Self { origin, credentials, preflight: *request.method() == Method::OPTIONS && asks }
    }

    /// Returns whether this is a preflight.
    pub(in crate::ingress) fn is_preflight(&self) -> bool {
        self.preflight
    }

    /// Returns the answer to a preflight.
    pub(in crate::ingress) fn preflight<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        self.allow(headers);
        response
    }

    /// Lets the page read an answer.
    pub(in crate::ingress) fn share(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        self.allow(headers);
    }

    fn allow(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        vary(headers);
    }
}

/// Keeps caches from serving an answer to pages of another origin.
pub(in crate::ingress) fn vary(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("origin"));
}
