//! Signing in and out.

use super::{
    App,
    read::{Body, Last},
    refusal::{Code, Refusal},
    told::{self, Told},
    who::{By, SESSION, Who},
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::USER_AGENT};
use krt_registry::{Action, Actor, Error, OpenedSession, Role, Session};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// How long a browser keeps the cookie, seconds; the server decides how long it holds.
const KEPT: u64 = 14 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    login: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    current: String,
    new: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Me {
    login: String,
    role: Role,
    csrf_token: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    session: Session,
    current: bool,
}

/// Who signs in, and over which connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
}

pub(super) async fn me(who: Who) -> Told<Me> {
    let csrf_token = match &who.by {
        By::Session(user) => Some(user.csrf().to_owned()),
        By::Token | By::Nothing => None,
    };
    told::ok(Me { login: who.login, role: who.role, csrf_token })
}

pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Body(SignIn { login, password }): Body<SignIn>,
) -> Result<Response, Refusal> {
    let agent = agent(&headers);
    let attempt = Attempt { app: &app, login: &login, peer: app.client(connection, &headers) };
    attempt.may_try()?;
    let opened = attempt.opened(password, agent).await?;
    let user = &opened.user;
    let me = Me { login: user.login.clone(), role: user.role, csrf_token: Some(user.csrf().to_owned()) };
    let mut response = told::ok(me).into_response();
    keep(&mut response, &opened, app.is_secure(connection));
    Ok(response)
}

/// What a browser says it is.
pub(super) fn agent(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned()
}

/// Gives a browser its session.
pub(super) fn keep(response: &mut Response, opened: &OpenedSession, tls: bool) {
    SESSION.set(response, opened.cookie.reveal(), KEPT, tls);
}

/// Somebody tries to sign in.
struct Attempt<'a> {
    app: &'a App,
    login: &'a str,
    peer: IpAddr,
}

impl Attempt<'_> {
    fn key(&self) -> String {
        self.login.chars().take(64).collect::<String>().to_lowercase()
    }

    fn may_try(&self) -> Result<(), Refusal> {
        let now = Instant::now();
        let shared = &self.app.0;
        let waits = [shared.addresses.wait(&self.peer, now), shared.logins.wait(&self.key(), now)];
        waits.into_iter().flatten().max().map_or(Ok(()), |wait| Err(Refusal::wait(wait)))
    }

    async fn opened(&self, password: String, agent: String) -> Result<OpenedSession, Refusal> {
        let team = self.app.team()?;
        let turn = self.app.0.hashes.acquire().await.expect("the semaphore is never closed");
        // Others may have failed while this one waited.
        self.may_try()?;
        let login = self.login.to_owned();
        let opened = team.ask(move |registry| registry.sign_in(&login, &password, &agent)).await;
        drop(turn);
        let shared = &self.app.0;
        match &opened {
            Ok(_) => {
                shared.logins.succeeded(&self.key());
                shared.addresses.succeeded(&self.peer);
            }
            Err(Error::Denied) => {
                shared.logins.failed(self.key(), Instant::now());
                shared.addresses.failed(self.peer, Instant::now());
                let (login, peer) = (self.key(), self.peer);
                let actor = Actor { comment: format!("from {peer}"), ..Actor::server() };
                team.ask(move |registry| registry.note(&actor, Action::SignInFailed, &login)).await?;
            }
            Err(_) => {}
        }
        Ok(opened?)
    }
}

pub(super) async fn sign_out(State(app): State<App>, who: Who) -> Result<Response, Refusal> {
    let team = app.team()?;
    if let By::Session(user) = who.by.clone() {
        let actor = who.silent();
        team.ask(move |registry| registry.end_session(&actor, None, &user.id, Action::SignedOut)).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    SESSION.set(&mut response, "", 0, false);
    Ok(response)
}

pub(super) async fn change_password(
    State(app): State<App>,
    who: Who,
    Body(ChangePassword { current, new }): Body<ChangePassword>,
) -> Result<StatusCode, Refusal> {
    let team = app.team()?;
    let login = who.login.clone();
    if let Some(wait) = app.0.logins.wait(&login.to_lowercase(), Instant::now()) {
        return Err(Refusal::wait(wait));
    }
    let session = match who.by {
        By::Session(user) => Some(user.id),
        By::Token | By::Nothing => None,
    };
    let turn = app.0.hashes.acquire().await.expect("the semaphore is never closed");
    let of = login.clone();
    let changed =
        team.ask(move |registry| registry.change_password(&of, &current, &new, session.as_deref())).await;
    drop(turn);
    match changed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Error::Denied) => {
            app.0.logins.failed(login.to_lowercase(), Instant::now());
            Err(Refusal::new(Code::Unprocessable, "the current password is wrong"))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn list(State(app): State<App>, who: Who) -> Result<Told<Vec<Shown>>, Refusal> {
    let owner = who.owner();
    let sessions = app.team()?.ask(move |registry| registry.sessions(owner.as_deref())).await?;
    let current = match &who.by {
        By::Session(user) => user.id.as_str(),
        By::Token | By::Nothing => "",
    };
    let shown = sessions.into_iter().map(|session| Shown { current: session.id == current, session });
    Ok(told::ok(shown.collect()))
}

pub(super) async fn revoke(State(app): State<App>, who: Who, Last(id): Last) -> Result<StatusCode, Refusal> {
    let (actor, owner) = (who.silent(), who.owner());
    let action = Action::SessionRevoked;
    app.team()?.ask(move |registry| registry.end_session(&actor, owner.as_deref(), &id, action)).await?;
    Ok(StatusCode::NO_CONTENT)
}
