//! The page at `/`: lists the methods for a browser or curl.

use super::{body::Body, service::Ingress};
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use std::fmt::Write as _;

/// Renders the page.
pub(super) fn page(ingress: &Ingress) -> Response<Body> {
    let mut text =
        String::from("This is a KRT v1 service. Its methods, over gRPC and as JSON over HTTP:\n\n");
    for method in ingress.methods() {
        let unused = if method.route().is_err() { "  (no workflow)" } else { "" };
        let stream = if method.streams() { "stream " } else { "" };
        let (input, output) = (method.input().full_name(), method.output().full_name());
        let _ = writeln!(text, "  POST {}   {input} -> {stream}{output}{unused}", method.path());
    }
    let mut models = ingress.models().names().peekable();
    if models.peek().is_some() {
        text.push_str("\nModels of the Open Inference Protocol, over REST and gRPC:\n\n");
    }
    for model in models {
        let _ = writeln!(text, "  POST /v2/models/{model}/infer");
    }
    text.push_str("\nSend JSON with the header `content-type: application/json`.\n");
    let mut response = Response::new(Body::data(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
