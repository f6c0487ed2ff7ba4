//! Tokens, for programs.

use crate::{
    audit::{Action, Actor, Object, note},
    error::{Error, Noun},
    moment::Moment,
    registry::Registry,
    role::Role,
    secret::{self, Secret},
};
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

/// A token; what opens doors is kept as a hash only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Names it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub login: String,
    /// What its holder may do, at most what its owner may.
    pub role: Role,
    /// When it was made.
    pub created: Moment,
    /// When it was used the last time, to the minute.
    pub used: Option<Moment>,
    /// Until when it holds.
    pub expires: Option<Moment>,
    /// How it begins.
    pub prefix: String,
}

/// A token that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Until when it holds.
    #[serde(default)]
    pub expires: Option<Moment>,
}

/// A new token, with what opens doors.
#[derive(Debug, Clone)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// What opens doors; told this once.
    pub secret: Secret,
}

const COLUMNS: &str = "id, name, login, role, created, used, expires, prefix";
/// How exactly it is known when a token was used, microseconds.
pub(crate) const USED: i64 = 60_000_000;

impl Registry {
    /// A user's tokens, or everybody's.
    pub fn tokens(&self, login: Option<&str>) -> Result<Vec<Token>, Error> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM token WHERE ?1 IS NULL OR login = ?1 ORDER BY created");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map([login], token)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Makes a token for a user.
    pub fn create_token(&self, login: &str, role: Role, new: &NewToken) -> Result<CreatedToken, Error> {
        if new.name.trim().is_empty() || new.name.chars().count() > 64 {
            return Err(Error::Text { what: "name", rule: "1 to 64 characters of text" });
        }
        if new.role > role {
            return Err(Error::TooMuch);
        }
        let (id, secret) = (secret::id()?, Secret::token()?);
        let token = Token {
            id,
            name: new.name.clone(),
            login: login.to_owned(),
            role: new.role,
            created: Moment::now(),
            used: None,
            expires: new.expires,
            prefix: secret.beginning(),
        };
        self.write(|connection| {
            let sql = "INSERT INTO token (id, hash, prefix, name, login, role, created, expires) \
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let Token { id, prefix, name, role, created, expires, .. } = &token;
            connection
                .execute(sql, params![id, secret.hash(), prefix, name, login, role, created, expires])?;
            note(connection, &Actor::user(login), Action::TokenCreated, Object::subject(&token.name))
        })?;
        Ok(CreatedToken { token, secret })
    }

    /// Removes a token; `owner`, if given, must be its owner.
    pub fn delete_token(&self, actor: &Actor, owner: Option<&str>, id: &str) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "DELETE FROM token WHERE id = ?1 AND (?2 IS NULL OR login = ?2) RETURNING name";
            let name: Option<String> =
                connection.query_row(sql, params![id, owner], |row| row.get(0)).optional()?;
            let name = name.ok_or_else(|| Error::missing(Noun::Token, id))?;
            note(connection, actor, Action::TokenDeleted, Object::subject(&name))
        })
    }

    /// Whose token it is, and what its holder may do now; `None` for one that is not, or no longer, one.
    pub fn by_token(&self, secret: &str) -> Result<Option<(String, Role)>, Error> {
        let now = Moment::now();
        let sql = "SELECT token.id, token.login, token.role, user.role, token.used \
                   FROM token JOIN user ON user.login = token.login \
                   WHERE token.hash = ? AND NOT user.disabled AND (token.expires IS NULL OR token.expires > ?)";
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row(params![secret::hash(secret), now], |row| {
                let (of_token, of_user): (Role, Role) = (row.get(2)?, row.get(3)?);
                let used: Option<i64> = row.get(4)?;
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, of_token.min(of_user), used))
            });
            Ok(found.optional()?)
        })?;
        let Some((id, login, role, used)) = found else { return Ok(None) };
        if used.is_none_or(|used| now.0 - used > USED) {
            self.write(|connection| {
                connection.execute("UPDATE token SET used = ? WHERE id = ?", params![now, id])?;
                Ok(())
            })?;
        }
        Ok(Some((login, role)))
    }
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        login: row.get(2)?,
        role: row.get(3)?,
        created: row.get(4)?,
        used: row.get(5)?,
        expires: row.get(6)?,
        prefix: row.get(7)?,
    })
}
