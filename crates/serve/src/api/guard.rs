//! Checks that a caller is signed in, has the role, and sent the session's CSRF token.

use super::{
    App,
    caller::{AuthMethod, Caller},
    refusal::{Code, Refusal},
};
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method};
use krt_model::team::Role;

/// The role that a path requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredRole {
    /// None; signing in is not required either.
    Nothing,
    /// A signed-in caller with at least this role.
    Role(Role),
}

/// Marks the response to an authorized caller, as an extension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authorized;

/// The header with the session's CSRF token.
const CSRF: &str = "x-csrf-token";

fn forbidden(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Forbidden, message)
}

/// Passes an authorized request on with its caller, or answers why it is refused.
pub(crate) async fn guard(app: App, need: RequiredRole, mut request: Request, next: Next) -> Response {
    match check(&app, need, request.method(), request.headers()).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            response.extensions_mut().insert(Authorized);
            response
        }
        Ok(None) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn check(
    app: &App,
    need: RequiredRole,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Refusal> {
    let RequiredRole::Role(role) = need else { return Ok(None) };
    let caller = app.caller(headers).await?.ok_or_else(Refusal::unauthenticated)?;
    if changes(method) {
        check_csrf(&caller.by, headers)?;
    }
    match caller.role >= role {
        true => Ok(Some(caller)),
        false => Err(forbidden(format!("this needs the role {role}, `{}` is {}", caller.login, caller.role))),
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses requests that a page of another site could have made the user's browser send.
fn check_csrf(by: &AuthMethod, headers: &HeaderMap) -> Result<(), Refusal> {
    let AuthMethod::Session(user) = by else { return Ok(()) };
    let sent = headers.get(CSRF).map(HeaderValue::as_bytes).unwrap_or_default();
    match user.accepts(std::str::from_utf8(sent).unwrap_or_default()) {
        true => Ok(()),
        false => Err(forbidden(format!("the header `{CSRF}` is not that of the session"))),
    }
}
