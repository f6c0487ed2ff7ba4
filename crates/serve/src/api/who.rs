//! Who asks: by a cookie, by a token, or, where nobody signs in, whoever can reach the port.

use super::{App, cookie::Cookie, refusal::Refusal};
use crate::House;
use axum::extract::FromRequestParts;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use krt_registry::{Actor, Role, SessionUser};
use krt_runtime::entry::bearer;

/// The cookie of a session. `Strict`: a page from elsewhere never sends it.
pub(super) const SESSION: Cookie = Cookie { name: "krt_session", path: "/", same_site: "Strict" };

/// The longest reason that somebody gives, characters.
const MAX_COMMENT: usize = 500;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) login: String,
    pub(crate) role: Role,
    pub(crate) by: By,
}

/// How it is known.
#[derive(Debug, Clone)]
pub(crate) enum By {
    /// By a cookie.
    Session(SessionUser),
    /// By a token.
    Token,
    /// It is not: nobody signs in here.
    Nothing,
}

impl Who {
    /// Who does something, and does not say why.
    pub(crate) fn silent(&self) -> Actor {
        Actor { login: self.login.clone(), comment: String::new() }
    }

    /// Who does something, and why.
    pub(crate) fn actor(&self, comment: &str) -> Result<Actor, Refusal> {
        match comment.chars().count() <= MAX_COMMENT {
            true => Ok(Actor { login: self.login.clone(), comment: comment.to_owned() }),
            false => Err(Refusal::invalid(format!("`comment` has more than {MAX_COMMENT} characters"))),
        }
    }

    /// The user whose things are meant; everybody's, for an admin.
    pub(crate) fn owner(&self) -> Option<String> {
        (self.role < Role::Admin).then(|| self.login.clone())
    }
}

impl App {
    /// Who asks, if it is known.
    pub(crate) async fn who(&self, headers: &HeaderMap) -> Result<Option<Who>, Refusal> {
        let House::Team(team) = self.house() else {
            return Ok(Some(Who { login: "local".to_owned(), role: Role::Manager, by: By::Nothing }));
        };
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).unwrap_or_default().to_owned();
            let found = team.by_token(token).await?;
            return Ok(found.map(|(login, role)| Who { login, role, by: By::Token }));
        }
        let Some(cookie) = SESSION.of(headers) else { return Ok(None) };
        let cookie = cookie.to_owned();
        let found = team.ask(move |registry| registry.by_cookie(&cookie)).await?;
        Ok(found.map(|user| Who { login: user.login.clone(), role: user.role, by: By::Session(user) }))
    }
}

/// Taken from a request that the guard let in.
impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(super::guard::unauthenticated)
    }
}
