//! The caller of a request: a session's or a token's user, or, where signing in is off, anyone who reaches
//! the port.

use super::{App, cookie::Cookie, refusal::Refusal};
use crate::Backend;
use axum::extract::FromRequestParts;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use krt_model::team::Role;
use krt_registry::{Actor, Credential, Identity, SessionUser};
use krt_runtime::ingress::bearer;

/// The cookie of a session. `Strict`: browsers never send it from pages of other sites.
pub(super) const SESSION: Cookie = Cookie { name: "krt_session", path: "/", same_site: "Strict" };

/// The longest comment on a change, in characters.
const MAX_COMMENT: usize = 500;

/// The user who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) login: String,
    pub(crate) role: Role,
    pub(crate) by: AuthMethod,
}

/// How the caller signed in.
#[derive(Debug, Clone)]
pub(crate) enum AuthMethod {
    /// A cookie.
    Session(SessionUser),
    /// The token with this id.
    Token(String),
    /// Signing in is off.
    Nothing,
}

impl Caller {
    /// The author of a change, without a comment.
    pub(crate) fn silent(&self) -> Actor {
        Actor { login: self.login.clone(), comment: String::new() }
    }

    /// The author of a change, with a comment.
    pub(crate) fn actor(&self, comment: &str) -> Result<Actor, Refusal> {
        match comment.chars().count() <= MAX_COMMENT {
            true => Ok(Actor { login: self.login.clone(), comment: comment.to_owned() }),
            false => Err(Refusal::invalid(format!("`comment` has more than {MAX_COMMENT} characters"))),
        }
    }

    /// The session or token of the caller; `None` where signing in is off.
    pub(crate) fn credential(&self) -> Option<Credential> {
        match &self.by {
            AuthMethod::Session(user) => Some(Credential::Session(user.id.clone())),
            AuthMethod::Token(id) => Some(Credential::Token(id.clone())),
            AuthMethod::Nothing => None,
        }
    }

    /// The caller as an identity of the registry; `None` where signing in is off.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let credential = self.credential()?;
        Some(Identity { login: self.login.clone(), role: self.role, credential })
    }

    /// The user whose sessions and tokens the caller may see; `None` for an admin, who sees all.
    pub(crate) fn owner(&self) -> Option<String> {
        (self.role < Role::Admin).then(|| self.login.clone())
    }
}

impl App {
    /// The caller, from a cookie or a token; `None` without either.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, Refusal> {
        let Backend::Team(team) = self.backend() else {
            return Ok(Some(Caller {
                login: "local".to_owned(),
                role: Role::Manager,
                by: AuthMethod::Nothing,
            }));
        };
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).unwrap_or_default().to_owned();
            let found = team.by_token(token).await?;
            return Ok(found.map(|user| Caller {
                login: user.login,
                role: user.role,
                by: AuthMethod::Token(user.id),
            }));
        }
        let Some(cookie) = SESSION.of(headers) else { return Ok(None) };
        let cookie = cookie.to_owned();
        let found = team.with_registry(move |registry| registry.by_cookie(&cookie)).await?;
        Ok(found.map(|user| Caller {
            login: user.login.clone(),
            role: user.role,
            by: AuthMethod::Session(user),
        }))
    }
}

/// The caller that the guard put into the request.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Refusal::unauthenticated)
    }
}
