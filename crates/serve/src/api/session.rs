//! Signing in and out.

use super::{
    App,
    caller::{AuthMethod, Caller, SESSION},
    read::{Body, LastSegment, SmallBody},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
    users, wire,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::USER_AGENT};
use krt_api::{
    Hidden,
    event::EventKind,
    session::{ChangePassword, Me, Session, SignIn},
};
use krt_model::team::AuditAction;
use krt_registry::{Actor, Error, NewPassword, OpenedSession, Registry};
use std::net::{IpAddr, SocketAddr};

/// The cookie's age, in seconds; the server decides how long the session lasts.
const MAX_AGE: u64 = 14 * 24 * 3600;

/// The peer of a connection, and whether it uses TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
}

pub(super) async fn me(caller: Caller) -> JsonResponse<Me> {
    let csrf_token = match &caller.by {
        AuthMethod::Session(user) => Some(Hidden(user.csrf().to_owned())),
        AuthMethod::Token(_) | AuthMethod::Nothing => None,
    };
    response::ok(Me { login: caller.login, role: caller.role, csrf_token })
}

pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Body(sign_in): SmallBody<SignIn>,
) -> Result<Response, Refusal> {
    let opened = open(&app, app.client(connection, &headers), sign_in, agent(&headers)).await?;
    let user = &opened.user;
    let me =
        Me { login: user.login.clone(), role: user.role, csrf_token: Some(Hidden(user.csrf().to_owned())) };
    let mut response = response::ok(me).into_response();
    set_cookie(&mut response, &opened, app.is_secure(connection));
    Ok(response)
}

/// The browser's `User-Agent`.
pub(super) fn agent(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned()
}

/// Sets the session's cookie.
pub(super) fn set_cookie(response: &mut Response, opened: &OpenedSession, tls: bool) {
    SESSION.set(response, opened.cookie.reveal(), MAX_AGE, tls);
}

/// Opens a session after checking the password.
async fn open(
    app: &App,
    from: IpAddr,
    SignIn { login, password }: SignIn,
    agent: String,
) -> Result<OpenedSession, Refusal> {
    let team = app.team()?;
    let (attempt, hashing) = app.0.limits.attempt(from, &login)?.hashing().await?;
    let opened =
        team.with_registry(move |registry| registry.sign_in(&login, password.reveal(), &agent)).await;
    drop(hashing);
    match &opened {
        Ok(_) => attempt.succeeded(),
        Err(Error::Denied) => {
            let actor = Actor { comment: format!("from {from}"), ..Actor::server() };
            let login = attempt.login().to_owned();
            team.with_registry(move |registry| registry.record(&actor, AuditAction::SignInFailed, &login))
                .await?;
        }
        Err(_) => attempt.undo(),
    }
    Ok(opened?)
}

pub(super) async fn sign_out(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let team = app.team()?;
    if let AuthMethod::Session(user) = caller.by.clone() {
        let actor = caller.silent();
        team.with_registry(move |registry| {
            registry.end_session(&actor, None, &user.id, AuditAction::SignedOut)
        })
        .await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    SESSION.set(&mut response, "", 0, app.is_secure(connection));
    Ok(response)
}

pub(super) async fn change_password(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    caller: Caller,
    Body(change): Body<ChangePassword>,
) -> Result<StatusCode, Refusal> {
    let team = app.team()?;
    // A stolen token or an open browser allows no more guesses than signing in.
    let attempt = app.0.limits.attempt(app.client(connection, &headers), &caller.login)?;
    let (attempt, hashing) = attempt.hashing().await?;
    let changed = team.with_registry(move |registry| apply(&change, registry, &caller)).await;
    drop(hashing);
    match changed {
        Ok(()) => attempt.succeeded(),
        Err(Error::Denied) => {
            return Err(Refusal::new(Code::Unprocessable, "the current password is wrong"));
        }
        Err(error) => {
            attempt.undo();
            return Err(error.into());
        }
    }
    users::notify(&app, EventKind::Token)?;
    Ok(StatusCode::NO_CONTENT)
}

fn apply(change: &ChangePassword, registry: &Registry, caller: &Caller) -> Result<(), Error> {
    let ChangePassword { current, new, revoke_tokens } = change;
    let change = NewPassword { current: current.reveal(), new: new.reveal(), revoke_tokens: *revoke_tokens };
    registry.change_password(&caller.login, change, caller.credential().as_ref())
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<JsonResponse<Vec<Session>>, Refusal> {
    let owner = caller.owner();
    let sessions = app.team()?.with_registry(move |registry| registry.sessions(owner.as_deref())).await?;
    let current = match &caller.by {
        AuthMethod::Session(user) => user.id.as_str(),
        AuthMethod::Token(_) | AuthMethod::Nothing => "",
    };
    let sessions = sessions.into_iter().map(|session| wire::session(session, current));
    Ok(response::ok(sessions.collect()))
}

pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    LastSegment(id): LastSegment,
) -> Result<StatusCode, Refusal> {
    let (actor, owner) = (caller.silent(), caller.owner());
    let action = AuditAction::SessionRevoked;
    app.team()?
        .with_registry(move |registry| registry.end_session(&actor, owner.as_deref(), &id, action))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
