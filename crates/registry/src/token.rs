//! Tokens of programs.

use crate::{
    audit::{Actor, Object, record},
    error::{Error, Noun},
    registry::Registry,
    secret::{self, Secret},
    text,
    timestamp::Timestamp,
};
use krt_model::team::{AuditAction, Role};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::time::Duration;

/// A token. Only a hash of its secret is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its owner.
    pub login: String,
    /// Its role, at most its owner's.
    pub role: Role,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub used: Option<Timestamp>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// The beginning of its secret.
    pub prefix: String,
    /// The id of the token that created it; it ends with that token.
    pub parent: Option<String>,
}

/// The user of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUser {
    /// The token.
    pub id: String,
    /// The owner.
    pub login: String,
    /// The current role.
    pub role: Role,
}

/// A token to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its display name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// A new token with its secret.
#[derive(Debug, Clone)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// The secret, shown only once.
    pub secret: Secret,
}

const COLUMNS: &str = "id, name, login, role, created, used, expires, prefix, parent";
/// The most tokens of one user.
const MAX_PER_USER: usize = 1_000;
/// How long an expired token stays listed.
const LIST_EXPIRED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// The precision of a token's last use, in microseconds.
pub(crate) const LAST_USE_PRECISION: i64 = 60_000_000;

impl Registry {
    /// The tokens of one user or of all.
    pub fn tokens(&self, login: Option<&str>) -> Result<Vec<Token>, Error> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM token WHERE ?1 IS NULL OR login = ?1 ORDER BY created");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map([login], token)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Creates a token for a user. One created by another token, its `parent`, expires no later, and is
    /// deleted with it.
    pub fn create_token(
        &self,
        login: &str,
        role: Role,
        parent: Option<&str>,
        new: &NewToken,
    ) -> Result<CreatedToken, Error> {
        if new.name.trim().is_empty() || new.name.chars().count() > 64 {
            return Err(Error::Text { what: "name", rule: "1 to 64 characters of text" });
        }
        if new.role > role {
            return Err(Error::TooMuch);
        }
        let (id, secret) = (secret::id()?, Secret::token()?);
        let mut token = Token {
            id,
            name: new.name.clone(),
            login: login.to_owned(),
            role: new.role,
            created: Timestamp::now(),
            used: None,
            expires: new.expires,
            prefix: secret.beginning(),
            parent: parent.map(str::to_owned),
        };
        let token = self.write(|connection| {
            make_room(connection, login, token.created)?;
            token.expires = expires(connection, &token)?;
            insert(connection, &token, &secret)?;
            record(connection, &Actor::user(login), AuditAction::TokenCreated, Object::subject(&token.name))?;
            Ok(token)
        })?;
        Ok(CreatedToken { token, secret })
    }

    /// Deletes a token and those that it created; `owner`, if set, must be its owner.
    pub fn delete_token(&self, actor: &Actor, owner: Option<&str>, id: &str) -> Result<(), Error> {
        self.write_identities(|connection| {
            let sql = "SELECT 1 FROM token WHERE id = ?1 AND (?2 IS NULL OR login = ?2)";
            match connection.prepare_cached(sql)?.exists(params![id, owner])? {
                true => revoke(connection, actor, id),
                false => Err(Error::missing(Noun::Token, id)),
            }
        })
    }

    /// The user of a token; `None` when it is invalid or expired.
    pub fn by_token(&self, secret: &str) -> Result<Option<TokenUser>, Error> {
        let now = Timestamp::now();
        let sql = "SELECT token.id, token.login, token.role, user.role, token.used \
                   FROM token JOIN user ON user.login = token.login \
                   WHERE token.hash = ? AND NOT user.disabled AND (token.expires IS NULL OR token.expires > ?)";
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row(params![secret::hash(secret), now], |row| {
                let of_token = text::get(row, 2, Role::parse)?;
                let of_user = text::get(row, 3, Role::parse)?;
                let used: Option<i64> = row.get(4)?;
                let user = TokenUser { id: row.get(0)?, login: row.get(1)?, role: of_token.min(of_user) };
                Ok((user, used))
            });
            Ok(found.optional()?)
        })?;
        let Some((user, used)) = found else { return Ok(None) };
        if used.is_none_or(|used| now.0 - used > LAST_USE_PRECISION) {
            self.write(|connection| {
                connection.execute("UPDATE token SET used = ? WHERE id = ?", params![now, user.id])?;
                Ok(())
            })?;
        }
        Ok(Some(user))
    }
}

/// Deletes tokens that expired long ago, and refuses one too many.
fn make_room(connection: &Connection, login: &str, now: Timestamp) -> Result<(), Error> {
    let sql = "DELETE FROM token WHERE login = ? AND expires < ?";
    connection.execute(sql, params![login, now.before(LIST_EXPIRED_FOR)])?;
    let sql = "SELECT count(*) FROM token WHERE login = ?";
    let count: i64 = connection.query_row(sql, [login], |row| row.get(0))?;
    match usize::try_from(count).is_ok_and(|count| count < MAX_PER_USER) {
        true => Ok(()),
        false => Err(Error::TooManyTokens { login: login.to_owned(), most: MAX_PER_USER }),
    }
}

/// When a new token expires: as requested, but no later than its parent.
fn expires(connection: &Connection, token: &Token) -> Result<Option<Timestamp>, Error> {
    let Some(parent) = &token.parent else { return Ok(token.expires) };
    let sql = "SELECT expires FROM token WHERE id = ?";
    let of_parent: Option<Option<Timestamp>> =
        connection.query_row(sql, [parent], |row| row.get(0)).optional()?;
    // The parent was deleted after it authorized this request.
    let of_parent = of_parent.ok_or(Error::Denied)?;
    Ok(token.expires.into_iter().chain(of_parent).min())
}

fn insert(connection: &Connection, token: &Token, secret: &Secret) -> Result<(), Error> {
    let sql = "INSERT INTO token (id, hash, prefix, name, login, role, created, expires, parent) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let Token { id, prefix, name, login, role, created, expires, parent, .. } = token;
    let values = params![id, secret.hash(), prefix, name, login, role.as_str(), created, expires, parent];
    connection.execute(sql, values)?;
    Ok(())
}

/// Deletes a token and those that it created, each with its entry in the audit log.
fn revoke(connection: &Connection, actor: &Actor, id: &str) -> Result<(), Error> {
    let sql = "WITH RECURSIVE family (id) AS ( \
                   SELECT ?1 UNION SELECT token.id FROM token JOIN family ON token.parent = family.id \
               ) SELECT name FROM token WHERE id IN (SELECT id FROM family) ORDER BY created";
    let mut statement = connection.prepare_cached(sql)?;
    let names: Vec<String> = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    connection.execute("DELETE FROM token WHERE id = ?", [id])?;
    names
        .iter()
        .try_for_each(|name| record(connection, actor, AuditAction::TokenDeleted, Object::subject(name)))
}

/// Deletes a user's tokens except one, unless another of them created that one.
pub(crate) fn revoke_all(
    connection: &Connection,
    actor: &Actor,
    login: &str,
    except: Option<&str>,
) -> Result<(), Error> {
    let sql = "SELECT id FROM token WHERE login = ?1 AND parent IS NULL AND id IS NOT ?2 \
               UNION ALL SELECT id FROM token WHERE parent = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let roots = statement.query_map(params![login, except], |row| row.get(0))?;
    let roots: Vec<String> = roots.collect::<rusqlite::Result<_>>()?;
    roots.iter().try_for_each(|id| revoke(connection, actor, id))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        login: row.get(2)?,
        role: text::get(row, 3, Role::parse)?,
        created: row.get(4)?,
        used: row.get(5)?,
        expires: row.get(6)?,
        prefix: row.get(7)?,
        parent: row.get(8)?,
    })
}
