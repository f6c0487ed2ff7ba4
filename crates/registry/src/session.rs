//! Sessions of browsers.

use crate::{
    audit::{Actor, Object, record},
    error::{Error, Noun},
    password,
    registry::Registry,
    secret::{self, Secret},
    text,
    timestamp::Timestamp,
    token::LAST_USE_PRECISION,
    user,
};
use krt_model::team::{AuditAction, Role};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// The lifetime of a session.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// The lifetime of an unused session.
const IDLE_LIFETIME: Duration = Duration::from_secs(2 * 24 * 3600);
/// The most sessions of one user; one more ends the least recently used.
const MAX_PER_USER: i64 = 100;
/// How much of the browser's `User-Agent` is kept, in characters.
const MAX_AGENT: usize = 200;

/// A user's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The user.
    pub login: String,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub used: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// The browser's `User-Agent`.
    pub agent: String,
}

/// A new session with its cookie.
#[derive(Debug, Clone)]
pub struct OpenedSession {
    /// The cookie.
    pub cookie: Secret,
    /// The user.
    pub user: SessionUser,
}

/// The user of a session.
#[derive(Debug, Clone)]
pub struct SessionUser {
    /// The session.
    pub id: String,
    /// The user.
    pub login: String,
    /// The user's role.
    pub role: Role,
    /// The CSRF token, required for changes.
    csrf: String,
}

impl SessionUser {
    /// The CSRF token, required for changes.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether this is the session's CSRF token.
    pub fn accepts(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

const COLUMNS: &str = "id, login, created, used, expires, agent";

impl Registry {
    /// Signs in a user.
    pub fn sign_in(&self, login: &str, password: &str, agent: &str) -> Result<OpenedSession, Error> {
        let known = self.read(|connection| user::password_of(connection, login))?;
        if !password::verify(password, known.as_deref()) {
            return Err(Error::Denied);
        }
        self.write_identities(|connection| {
            let sql = "UPDATE user SET signed_in = ?1 WHERE login = ?2 AND password = ?3 AND NOT disabled \
                       RETURNING login, role";
            let user = connection
                .query_row(sql, params![Timestamp::now(), login, known], |row| {
                    Ok((row.get(0)?, text::get(row, 1, Role::parse)?))
                })
                .optional()?;
            // The user may have changed while the password was compared.
            let (login, role) = user.ok_or(Error::Denied)?;
            open(connection, login, role, agent)
        })
    }

    /// The user of a cookie; `None` when it is invalid or expired.
    pub fn by_cookie(&self, cookie: &str) -> Result<Option<SessionUser>, Error> {
        let now = Timestamp::now();
        let sql = "SELECT session.id, session.login, user.role, session.csrf, session.used, session.expires \
                   FROM session JOIN user ON user.login = session.login \
                   WHERE session.hash = ? AND NOT user.disabled";
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([secret::hash(cookie)], |row| {
                let user = SessionUser {
                    id: row.get(0)?,
                    login: row.get(1)?,
                    role: text::get(row, 2, Role::parse)?,
                    csrf: row.get(3)?,
                };
                Ok((user, row.get(4)?, row.get(5)?))
            });
            Ok(found.optional()?)
        })?;
        let Some((user, used, expires)) = found else { return Ok(None) };
        if !is_valid(now, used, expires) {
            return Ok(None);
        }
        if now.0 - used.0 > LAST_USE_PRECISION {
            self.write(|connection| {
                connection.execute("UPDATE session SET used = ? WHERE id = ?", params![now, user.id])?;
                Ok(())
            })?;
        }
        Ok(Some(user))
    }

    /// The sessions of one user or of all, most recently used first.
    pub fn sessions(&self, login: Option<&str>) -> Result<Vec<Session>, Error> {
        let now = Timestamp::now();
        self.read(|connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM session WHERE ?1 IS NULL OR login = ?1 ORDER BY used DESC");
            let mut statement = connection.prepare_cached(&sql)?;
            let sessions = statement.query_map([login], session)?;
            let sessions: Vec<Session> = sessions.collect::<rusqlite::Result<_>>()?;
            Ok(sessions.into_iter().filter(|session| is_valid(now, session.used, session.expires)).collect())
        })
    }

    /// Ends a session; `owner`, if set, must be its user.
    pub fn end_session(
        &self,
        actor: &Actor,
        owner: Option<&str>,
        id: &str,
        action: AuditAction,
    ) -> Result<(), Error> {
        self.write_identities(|connection| {
            let sql = "DELETE FROM session WHERE id = ?1 AND (?2 IS NULL OR login = ?2) RETURNING login";
            let login: Option<String> =
                connection.query_row(sql, params![id, owner], |row| row.get(0)).optional()?;
            let login = login.ok_or_else(|| Error::missing(Noun::Session, id))?;
            record(connection, actor, action, Object::subject(&login))
        })
    }
}

/// Opens a session for a user who has signed in.
pub(crate) fn open(
    connection: &Connection,
    login: String,
    role: Role,
    agent: &str,
) -> Result<OpenedSession, Error> {
    let (id, cookie, csrf) = (secret::id()?, Secret::new()?, Secret::new()?);
    let now = Timestamp::now();
    let agent: String = agent.chars().filter(|character| !character.is_control()).take(MAX_AGENT).collect();
    let sql = "INSERT INTO session (id, hash, csrf, login, created, used, expires, agent) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)";
    let (hash, expires) = (cookie.hash(), now.after(LIFETIME));
    connection.execute(sql, params![id, hash, csrf.reveal(), login, now, expires, agent])?;
    connection.execute("DELETE FROM session WHERE expires < ?", [now])?;
    let sql = "DELETE FROM session WHERE login = ?1 AND id NOT IN \
               (SELECT id FROM session WHERE login = ?1 ORDER BY used DESC, rowid DESC LIMIT ?2)";
    connection.execute(sql, params![login, MAX_PER_USER])?;
    record(connection, &Actor::user(&login), AuditAction::SignedIn, Object::default())?;
    let csrf = csrf.reveal().to_owned();
    Ok(OpenedSession { cookie, user: SessionUser { id, login, role, csrf } })
}

/// Whether a session is still valid.
fn is_valid(now: Timestamp, used: Timestamp, expires: Timestamp) -> bool {
    now < end(used, expires)
}

/// When a session ends without further use.
fn end(used: Timestamp, expires: Timestamp) -> Timestamp {
    expires.min(used.after(IDLE_LIFETIME))
}

/// When the session with this id ends without further use; `None` when it does not exist.
pub(crate) fn until(connection: &Connection, id: &str) -> Result<Option<Timestamp>, Error> {
    let mut statement = connection.prepare_cached("SELECT used, expires FROM session WHERE id = ?")?;
    Ok(statement.query_row([id], |row| Ok(end(row.get(0)?, row.get(1)?))).optional()?)
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        login: row.get(1)?,
        created: row.get(2)?,
        used: row.get(3)?,
        expires: row.get(4)?,
        agent: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_of_a_session() {
        let start = Timestamp(1_700_000_000_000_000);
        let day = Duration::from_secs(24 * 3600);
        let expires = start.after(LIFETIME);
        let rows = [
            (start.after(day), start, true),
            (start.after(2 * day), start, false),
            (start.after(13 * day), start.after(12 * day), true),
            (start.after(14 * day), start.after(13 * day), false),
        ];
        for (now, used, expected) in rows {
            assert_eq!(is_valid(now, used, expires), expected, "{now} {used}");
        }
    }
}
