//! Users.

use crate::{
    audit::{Action, Actor, Object, note},
    error::{Error, Noun, is_taken},
    moment::Moment,
    password,
    registry::Registry,
    role::Role,
    secret::Secret,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name to sign in with.
    pub login: String,
    /// What the user may do.
    pub role: Role,
    /// Since when.
    pub created: Moment,
    /// When the user signed in the last time.
    pub signed_in: Option<Moment>,
    /// Whether the user is kept out.
    pub disabled: bool,
    /// Whether the user signs in at the OpenID provider.
    pub openid: bool,
}

/// A user who is to be.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to sign in with.
    pub login: String,
    /// What the user may do.
    pub role: Role,
    /// The password.
    pub password: String,
}

/// What is to change; the rest stays.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// What the user may do.
    pub role: Option<Role>,
    /// The password.
    pub password: Option<String>,
    /// Whether the user is kept out.
    pub disabled: Option<bool>,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("login", &self.login)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (&self.role, self.password.is_some(), &self.disabled);
        write!(f, "UserChange {shown:?}")
    }
}

const COLUMNS: &str = "login, role, created, signed_in, disabled, subject IS NOT NULL";

impl Registry {
    /// All users, by login.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM user ORDER BY login"))?;
            Ok(statement.query_map([], user)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Makes the user `admin` where there is no user at all, with a password that is chosen, or a
    /// random one; it is told this once.
    pub fn first_admin(&self, chosen: Option<String>) -> Result<Option<Secret>, Error> {
        if !self.users()?.is_empty() {
            return Ok(None);
        }
        let password = chosen.map_or_else(Secret::new, |chosen| Ok(Secret::from(chosen)))?;
        let new =
            NewUser { login: "admin".to_owned(), role: Role::Admin, password: password.reveal().to_owned() };
        self.create_user(&Actor::server(), &new)?;
        Ok(Some(password))
    }

    /// Makes a user.
    pub fn create_user(&self, actor: &Actor, new: &NewUser) -> Result<User, Error> {
        check_login(&new.login)?;
        password::check(&new.login, &new.password)?;
        let hash = password::hash(&new.password)?;
        self.write(|connection| {
            insert(connection, actor, &new.login, new.role, Known::Password(&hash))?;
            load(connection, &new.login)
        })
    }

    /// Changes a user, whose sessions end.
    pub fn change_user(&self, actor: &Actor, login: &str, change: &UserChange) -> Result<User, Error> {
        let hash = match &change.password {
            Some(password) => {
                password::check(login, password)?;
                Some(password::hash(password)?)
            }
            None => None,
        };
        self.write(|connection| {
            load(connection, login)?;
            let sql = "UPDATE user SET role = coalesce(?2, role), password = coalesce(?3, password), \
                       disabled = coalesce(?4, disabled) WHERE login = ?1";
            connection.execute(sql, params![login, change.role, hash, change.disabled])?;
            require_admin(connection, login)?;
            connection.execute("DELETE FROM session WHERE login = ?", [login])?;
            note(connection, actor, Action::UserChanged, Object::subject(login))?;
            load(connection, login)
        })
    }

    /// Changes a user's own password; the user's other sessions end.
    pub fn change_password(
        &self,
        login: &str,
        current: &str,
        new: &str,
        session: Option<&str>,
    ) -> Result<(), Error> {
        let known = self.read(|connection| password_of(connection, login))?;
        if !password::verify(current, known.as_deref()) {
            return Err(Error::Denied);
        }
        password::check(login, new)?;
        let hash = password::hash(new)?;
        self.write(|connection| {
            connection.execute("UPDATE user SET password = ? WHERE login = ?", [&*hash, login])?;
            let sql = "DELETE FROM session WHERE login = ?1 AND id IS NOT ?2";
            connection.execute(sql, params![login, session])?;
            note(connection, &Actor::user(login), Action::PasswordChanged, Object::subject(login))
        })
    }

    /// Removes a user with sessions and tokens.
    pub fn delete_user(&self, actor: &Actor, login: &str) -> Result<(), Error> {
        self.write(|connection| {
            load(connection, login)?;
            connection.execute("DELETE FROM user WHERE login = ?", [login])?;
            require_admin(connection, login)?;
            note(connection, actor, Action::UserDeleted, Object::subject(login))
        })
    }
}

/// By what a new user is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known<'a> {
    /// By the hash of a password.
    Password(&'a str),
    /// By a provider, who vouches for this subject; no password lets the user in.
    Subject(&'a str),
}

/// Adds a user whose login is a good one.
pub(crate) fn insert(
    connection: &Connection,
    actor: &Actor,
    login: &str,
    role: Role,
    known: Known<'_>,
) -> Result<(), Error> {
    let (password, subject) = match known {
        Known::Password(hash) => (hash, None),
        Known::Subject(subject) => ("", Some(subject)),
    };
    let sql =
        "INSERT INTO user (login, role, password, created, disabled, subject) VALUES (?, ?, ?, ?, 0, ?)";
    connection
        .execute(sql, params![login, role, password, Moment::now(), subject])
        .map_err(|error| if is_taken(&error) { Error::taken(Noun::User, login) } else { error.into() })?;
    note(connection, actor, Action::UserCreated, Object::subject(login))
}

/// Whether somebody can still let others in, after `login` was changed.
pub(crate) fn require_admin(connection: &Connection, login: &str) -> Result<(), Error> {
    let sql = "SELECT 1 FROM user WHERE role = 'admin' AND NOT disabled";
    match connection.prepare_cached(sql)?.exists([])? {
        true => Ok(()),
        false => Err(Error::LastAdmin { login: login.to_owned() }),
    }
}

fn load(connection: &Connection, login: &str) -> Result<User, Error> {
    let sql = format!("SELECT {COLUMNS} FROM user WHERE login = ?");
    let found = connection.prepare_cached(&sql)?.query_row([login], user).optional()?;
    found.ok_or_else(|| Error::missing(Noun::User, login))
}

/// The hash of the password of a user who may sign in with one.
pub(crate) fn password_of(connection: &Connection, login: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT password FROM user WHERE login = ? AND password <> '' AND NOT disabled";
    Ok(connection.prepare_cached(sql)?.query_row([login], |row| row.get(0)).optional()?)
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        login: row.get(0)?,
        role: row.get(1)?,
        created: row.get(2)?,
        signed_in: row.get(3)?,
        disabled: row.get(4)?,
        openid: row.get(5)?,
    })
}

pub(crate) fn check_login(login: &str) -> Result<(), Error> {
    let start = login.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = login.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte));
    // The name under which the server itself stands in the audit log is nobody's.
    if start && rest && login.len() <= 64 && !login.eq_ignore_ascii_case("krt") {
        return Ok(());
    }
    Err(Error::Text {
        what: "login",
        rule: "1 to 64 letters, digits or `._@+-`, with a letter or digit first, and not `krt`",
    })
}
