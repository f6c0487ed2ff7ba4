//! Signing in at the OpenID provider: to it, and back.
//!
//! A browser is led here, not a program: what goes wrong is told as a page.

use super::{
    App,
    cookie::Cookie,
    read::Query,
    refusal::{Code, Refusal},
    session::{self, Connection},
};
use crate::{
    dashboard,
    openid::{self, CALLBACK, Provider},
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
use krt_registry::{Action, Actor, Error, Fault};

/// What a browser keeps while it is at the provider's. `Lax`: the provider's page leads back here.
const BINDING: Cookie = Cookie { name: "krt_openid", path: CALLBACK, same_site: "Lax" };
/// How long, seconds.
const KEPT: u64 = openid::PATIENCE.as_secs();

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
enum Denied {
    #[error(transparent)]
    Provider(#[from] openid::Error),
    #[error(transparent)]
    Registry(#[from] Error),
}

pub(super) async fn begin(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    query: Query,
) -> Result<Response, Refusal> {
    let provider = provider(&app)?;
    let next = query.text("next").filter(|next| is_inside(next)).unwrap_or("/").to_owned();
    Ok(match provider.begin(next).await {
        Ok(sent) => {
            let mut response = redirect(&sent.url);
            BINDING.set(&mut response, &sent.binding, KEPT, app.is_secure(connection));
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
    let secure = app.is_secure(connection);
    let came = Came {
        state: query.text("state").unwrap_or_default(),
        code: query.text("code"),
        error: query.text("error_description").or(query.text("error")),
        binding: BINDING.of(&headers).unwrap_or_default(),
    };
    let mut response = match came.back(&app, provider, session::agent(&headers)).await {
        Ok((opened, next)) => {
            let mut response = redirect(&next);
            session::keep(&mut response, &opened, secure);
            response
        }
        Err(denied) => {
            let actor = Actor { comment: format!("OpenID: {denied}"), ..Actor::server() };
            let peer = app.client(connection, &headers).to_string();
            app.team()?.ask(move |registry| registry.note(&actor, Action::SignInFailed, &peer)).await?;
            page(&denied)
        }
    };
    BINDING.set(&mut response, "", 0, secure);
    Ok(response)
}

/// A browser that comes back.
struct Came<'a> {
    state: &'a str,
    code: Option<&'a str>,
    error: Option<&'a str>,
    binding: &'a str,
}

impl Came<'_> {
    async fn back(
        &self,
        app: &App,
        provider: &Provider,
        agent: String,
    ) -> Result<(krt_registry::OpenedSession, String), Denied> {
        let code = match (self.code, self.error) {
            (Some(code), None) => code.to_owned(),
            (_, Some(error)) => return Err(openid::Error::Refused(short(error)).into()),
            (None, None) => return Err(openid::Error::Unknown.into()),
        };
        let returned = provider.finish(self.state, code, self.binding).await?;
        let vouched = returned.vouched;
        let team = app.team().expect("a provider is a team's");
        let opened = team.ask(move |registry| registry.sign_in_vouched(&vouched, &agent)).await?;
        Ok((opened, returned.next))
    }
}

/// What the provider says, no longer than a person reads.
fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

fn provider(app: &App) -> Result<&Provider, Refusal> {
    let missing = || Refusal::new(Code::NotFound, "this server has no OpenID provider");
    app.0.openid.as_ref().ok_or_else(missing)
}

/// Whether a place is one of the dashboard's own, whatever a link says.
fn is_inside(next: &str) -> bool {
    next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn redirect(to: &str) -> Response {
    let Ok(place) = HeaderValue::from_str(to) else {
        return Refusal::new(Code::Internal, "the provider's address is none").into_response();
    };
    let headers = [
        (LOCATION, place),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Says to a person why not.
fn page(denied: &Denied) -> Response {
    let (status, text) = match denied {
        Denied::Provider(error @ openid::Error::Provider { .. }) => {
            tracing::error!("{error}");
            (
                StatusCode::BAD_GATEWAY,
                "the OpenID provider cannot be asked; the server's log says more".to_owned(),
            )
        }
        Denied::Registry(error) if error.fault() == Fault::Operator => {
            tracing::error!("signing in failed: {}", krt_runtime::errors::chain(error));
            (StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says more".to_owned())
        }
        _ => (StatusCode::FORBIDDEN, denied.to_string()),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, dashboard::POLICY),
    ];
    (status, headers, dashboard::denied(&text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_inside() {
        for good in ["/", "/runtimes/shop?tab=logs#x"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "runtimes", "//example.com", "/\\example.com", "https://example.com", "/a\r\nb", "/ä"]
        {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
