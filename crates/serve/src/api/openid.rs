//! Signing in at the OpenID provider: the redirect there, and the callback.
//!
//! Only browsers reach these paths, so errors are shown as pages.

use super::{
    App,
    cookie::Cookie,
    read::Query,
    refusal::{Code, Refusal},
    session::{self, Connection},
};
use crate::{
    dashboard,
    openid::{self, CALLBACK, Callback, Provider},
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY},
};
use krt_model::{hint, team::AuditAction};
use krt_registry::{Actor, Error, Fault, OpenedSession};

/// Binds a sign-in to its browser. `Lax`: the provider's page leads back here.
const BINDING: Cookie = Cookie { name: "krt_openid", path: CALLBACK, same_site: "Lax" };
/// The cookie's age, in seconds.
const MAX_AGE: u64 = openid::SIGN_IN_TIMEOUT.as_secs();

/// Why a sign-in fails.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Denied {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Provider(#[from] openid::Error),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Registry(#[from] Error),
    #[error("too many have tried to sign in from your address")]
    #[diagnostic(help("wait a minute, then try again"))]
    TooMany,
}

pub(super) async fn start(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let provider = provider(&app)?;
    let from = app.client(connection, &headers);
    if app.0.limits.openid(from).is_err() {
        return Ok(page(&Denied::TooMany));
    }
    let next = query.text("next").filter(|next| is_inside(next)).unwrap_or("/").to_owned();
    Ok(match provider.start(from, next).await {
        Ok(sent) => {
            let mut response = redirect(&sent.url);
            BINDING.set(&mut response, &sent.binding, MAX_AGE, app.is_secure(connection));
            response
        }
        Err(error) => page(&error.into()),
    })
}

pub(super) async fn finish(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let provider = provider(&app)?;
    let from = app.client(connection, &headers);
    if app.0.limits.openid(from).is_err() {
        return Ok(page(&Denied::TooMany));
    }
    // Nothing else counts unless this browser began the sign-in with this state.
    let state = query.text("state").unwrap_or_default();
    let back = match provider.take_back(state, BINDING.of(&headers).unwrap_or_default()) {
        Ok(back) => back,
        Err(error) => return Ok(page(&error.into())),
    };
    let secure = app.is_secure(connection);
    let mut response = match sign_in(&app, back, &query, session::agent(&headers)).await {
        Ok((opened, next)) => {
            app.0.limits.openid_succeeded(from);
            let mut response = redirect(&next);
            session::set_cookie(&mut response, &opened, secure);
            response
        }
        Err(denied) => {
            let comment = format!("OpenID: {}", denied.shown().1.replace('\n', "; "));
            let actor = Actor { comment, ..Actor::server() };
            let subject = from.to_string();
            app.team()?
                .with_registry(move |registry| registry.record(&actor, AuditAction::SignInFailed, &subject))
                .await?;
            page(&denied)
        }
    };
    BINDING.set(&mut response, "", 0, secure);
    Ok(response)
}

async fn sign_in(
    app: &App,
    back: Callback<'_>,
    query: &Query,
    agent: String,
) -> Result<(OpenedSession, String), Denied> {
    let code = match (query.text("code"), query.text("error")) {
        (Some(code), None) => code.to_owned(),
        (_, error) => {
            let error: String = error.unwrap_or("it brings no code").chars().take(100).collect();
            tracing::warn!("the OpenID provider refused a sign-in: {error:?}");
            return Err(openid::Error::Refused.into());
        }
    };
    let returned = back.finish(code).await?;
    let verified = returned.verified;
    let team = app.team().expect("a provider is a team's");
    let opened = team.with_registry(move |registry| registry.sign_in_verified(&verified, &agent)).await?;
    Ok((opened, returned.next))
}

fn provider(app: &App) -> Result<&Provider, Refusal> {
    let missing = || Refusal::new(Code::NotFound, "this server has no OpenID provider");
    app.0.openid.as_deref().ok_or_else(missing)
}

/// The longest path kept during a sign-in, in bytes.
const MAX_NEXT: usize = 2_000;

/// Whether a path is one of the dashboard's own; links may carry any text.
fn is_inside(next: &str) -> bool {
    next.len() <= MAX_NEXT
        && next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn redirect(to: &str) -> Response {
    let Ok(place) = HeaderValue::from_str(to) else {
        return Refusal::new(Code::Internal, "the provider's address is not a URL").into_response();
    };
    let headers = [
        (LOCATION, place),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl Denied {
    /// The status, the text and the hints of the error page: nothing from the request, and about the provider only whose
    /// fault it is.
    fn shown(&self) -> (StatusCode, String, Vec<String>) {
        let logged = |status, why| (status, format!("{why}; the server's log says more"), Vec::new());
        match self {
            Self::Provider(openid::Error::Provider { .. }) => {
                logged(StatusCode::BAD_GATEWAY, "the OpenID provider cannot be asked")
            }
            Self::Provider(openid::Error::Untrusted { .. }) => {
                logged(StatusCode::FORBIDDEN, "the OpenID provider's ID token is not valid")
            }
            Self::Registry(error) if error.fault() == Fault::Operator => {
                logged(StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
            }
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, self.to_string(), hint::hints(self)),
            Self::Provider(_) | Self::Registry(_) => {
                (StatusCode::FORBIDDEN, self.to_string(), hint::hints(self))
            }
        }
    }

    fn log(&self) {
        match self {
            Self::Provider(error @ (openid::Error::Provider { .. } | openid::Error::Untrusted { .. })) => {
                tracing::error!("{}", hint::line(error));
            }
            Self::Registry(error) if error.fault() == Fault::Operator => {
                tracing::error!("signing in failed: {}", hint::chain(error));
            }
            _ => {}
        }
    }
}

/// The error page.
fn page(denied: &Denied) -> Response {
    denied.log();
    let (status, text, hints) = denied.shown();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, dashboard::POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (status, headers, dashboard::denied(&text, &hints)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_paths() {
        for good in ["/", "/runtimes/shop?tab=logs#x"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "runtimes", "//example.com", "/\\example.com", "https://example.com", "/a\r\nb", "/ä"]
        {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
