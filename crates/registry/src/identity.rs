//! The identity behind a request, and when it ends: live streams watch it.

use crate::{credential::Credential, error::Error, registry::Registry, session, text, timestamp::Timestamp};
use krt_model::team::Role;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::watch;

/// A user, as a session or token proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub login: String,
    /// The role that the identity has.
    pub role: Role,
    /// The session or token that proves it.
    pub credential: Credential,
}

/// Why an identity has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The session was closed, by its user or another.
    #[error("the session was ended")]
    SignedOut,
    /// The token was deleted.
    #[error("the token was revoked")]
    Revoked,
    /// The session or token has expired.
    #[error("the sign-in has expired")]
    Expired,
    /// The user is disabled.
    #[error("the user was disabled")]
    Disabled,
    /// The user was deleted.
    #[error("the user was deleted")]
    Deleted,
    /// The user's role was lowered.
    #[error("the user's role was reduced")]
    Demoted,
}

impl Registry {
    /// Signals every change of users, sessions and tokens.
    pub fn identities(&self) -> watch::Receiver<()> {
        self.identities.subscribe()
    }

    /// How long an identity remains valid if nothing uses or changes it (`None`: without end), or why it has
    /// ended.
    pub fn validity(&self, identity: &Identity) -> Result<Result<Option<Timestamp>, EndReason>, Error> {
        let now = Timestamp::now();
        self.read(|connection| {
            match role_of(connection, &identity.login)? {
                Ok(role) if role >= identity.role => {}
                Ok(_) => return Ok(Err(EndReason::Demoted)),
                Err(ended) => return Ok(Err(ended)),
            }
            let until = match &identity.credential {
                Credential::Session(id) => {
                    session::until(connection, id)?.map(Some).ok_or(EndReason::SignedOut)
                }
                Credential::Token(id) => token_until(connection, id)?.ok_or(EndReason::Revoked),
            };
            Ok(until.and_then(|until| match until {
                Some(until) if until <= now => Err(EndReason::Expired),
                until => Ok(until),
            }))
        })
    }
}

fn role_of(connection: &Connection, login: &str) -> Result<Result<Role, EndReason>, Error> {
    let sql = "SELECT role, disabled FROM user WHERE login = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let found =
        statement.query_row([login], |row| Ok((text::get(row, 0, Role::parse)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((role, false)) => Ok(role),
        Some((_, true)) => Err(EndReason::Disabled),
        None => Err(EndReason::Deleted),
    })
}

fn token_until(connection: &Connection, id: &str) -> Result<Option<Option<Timestamp>>, Error> {
    let mut statement = connection.prepare_cached("SELECT expires FROM token WHERE id = ?")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}
