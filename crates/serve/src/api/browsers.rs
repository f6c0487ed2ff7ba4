//! Limits browsers to requests from the dashboard's own pages, and to links that lead to them.

use super::{
    App,
    refusal::{Code, Refusal},
};
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
};
use krt_runtime::ingress::browsers::Sender;

/// Headers of every answer. A page sets its own policy.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const NO_FRAMES: HeaderValue = HeaderValue::from_static("DENY");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Refuses requests that a page of another origin may have sent, and protects answers from being framed or
/// embedded by other origins.
pub(super) async fn check_browser(app: App, request: Request, next: Next) -> Response {
    let mut response = match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    protect(response.headers_mut());
    response
}

fn check(app: &App, request: &Request) -> Result<(), Refusal> {
    let public = app.0.public.dashboard.as_ref();
    let is_public = |host: &str| public.is_some_and(|origin| origin.is_host(host));
    app.0.hosts.check(request, is_public).map_err(|foreign| {
        forbidden(
            foreign.to_string(),
            "behind a proxy, give `krt serve` --dashboard-url; --allow-host adds other names",
        )
    })?;
    match Sender::of(request) {
        Sender::Own => Ok(()),
        Sender::Page(origin) if public.is_some_and(|public| public.is_origin(origin)) => Ok(()),
        Sender::Link if may_be_opened(request.uri()) => Ok(()),
        Sender::Page(_) | Sender::Link | Sender::Unnamed => Err(forbidden(
            "the request comes from a page of another site",
            "behind a proxy, give `krt serve` --dashboard-url",
        )),
    }
}

/// Whether a link from another site may lead here: to a page, or back from the OpenID provider.
fn may_be_opened(uri: &Uri) -> bool {
    let path = uri.path();
    !path.starts_with("/api/") || path.starts_with("/api/v1/session/openid")
}

fn forbidden(message: impl Into<String>, hint: &str) -> Refusal {
    Refusal::new(Code::Forbidden, message).hint(hint)
}

fn protect(headers: &mut HeaderMap) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    headers.insert(X_FRAME_OPTIONS, NO_FRAMES);
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
}
