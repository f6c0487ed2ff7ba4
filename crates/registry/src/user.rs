//! Users.

use crate::{
    audit::{Actor, Object, record},
    credential::Credential,
    error::{Error, Noun, is_taken},
    password,
    registry::Registry,
    secret::Secret,
    text,
    timestamp::Timestamp,
    token,
};
use krt_model::team::{AuditAction, Role};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::fmt;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name to sign in with.
    pub login: String,
    /// The role.
    pub role: Role,
    /// When it was created.
    pub created: Timestamp,
    /// When the user last signed in.
    pub signed_in: Option<Timestamp>,
    /// Whether the user may not sign in.
    pub disabled: bool,
    /// Whether the user signs in at the OpenID provider.
    pub openid: bool,
}

/// A user to create.
#[derive(Clone)]
pub struct NewUser {
    /// The name to sign in with.
    pub login: String,
    /// The role.
    pub role: Role,
    /// The password.
    pub password: String,
}

/// Changes of a user; unset fields stay.
#[derive(Clone, Default)]
pub struct UserChange {
    /// The role.
    pub role: Option<Role>,
    /// The password.
    pub password: Option<String>,
    /// Whether the user may not sign in.
    pub disabled: Option<bool>,
    /// Whether to revoke the user's tokens; by default a new password does.
    pub revoke_tokens: Option<bool>,
}

/// A user's change of their own password.
#[derive(Clone, Copy)]
pub struct NewPassword<'a> {
    /// The current one.
    pub current: &'a str,
    /// The new one.
    pub new: &'a str,
    /// Whether to revoke the user's tokens.
    pub revoke_tokens: bool,
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

    /// Creates the user `admin` where no user exists, with the chosen password or a random one, which is
    /// returned only now.
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

    /// Creates a user.
    pub fn create_user(&self, actor: &Actor, new: &NewUser) -> Result<User, Error> {
        check_login(&new.login)?;
        password::check(&new.login, &new.password)?;
        let hash = password::hash(&new.password)?;
        self.write(|connection| {
            insert(connection, actor, &new.login, new.role, SignInMethod::Password(&hash))?;
            load(connection, &new.login)
        })
    }

    /// Changes a user and ends the user's sessions; a new password also revokes the tokens.
    pub fn change_user(&self, actor: &Actor, login: &str, change: &UserChange) -> Result<User, Error> {
        let hash = match &change.password {
            Some(password) => {
                password::check(login, password)?;
                Some(password::hash(password)?)
            }
            None => None,
        };
        self.write_identities(|connection| {
            load(connection, login)?;
            let sql = "UPDATE user SET role = coalesce(?2, role), password = coalesce(?3, password), \
                       disabled = coalesce(?4, disabled) WHERE login = ?1";
            connection.execute(sql, params![login, change.role.map(Role::as_str), hash, change.disabled])?;
            require_admin(connection, login)?;
            connection.execute("DELETE FROM session WHERE login = ?", [login])?;
            if change.revoke_tokens.unwrap_or(hash.is_some()) {
                token::revoke_all(connection, actor, login, None)?;
            }
            record(connection, actor, AuditAction::UserChanged, Object::subject(login))?;
            load(connection, login)
        })
    }

    /// Changes a user's own password. Ends all other sessions, and revokes tokens unless they should stay;
    /// `by` is the request's own session or token.
    pub fn change_password(
        &self,
        login: &str,
        change: NewPassword<'_>,
        by: Option<&Credential>,
    ) -> Result<(), Error> {
        let NewPassword { current, new, revoke_tokens } = change;
        let known = self.read(|connection| password_of(connection, login))?;
        if !password::verify(current, known.as_deref()) {
            return Err(Error::Denied);
        }
        password::check(login, new)?;
        let hash = password::hash(new)?;
        let (session, token) = match by {
            Some(Credential::Session(id)) => (Some(id), None),
            Some(Credential::Token(id)) => (None, Some(id)),
            None => (None, None),
        };
        let actor = Actor::user(login);
        self.write_identities(|connection| {
            connection.execute("UPDATE user SET password = ? WHERE login = ?", [&*hash, login])?;
            let sql = "DELETE FROM session WHERE login = ?1 AND id IS NOT ?2";
            connection.execute(sql, params![login, session])?;
            if revoke_tokens {
                token::revoke_all(connection, &actor, login, token.map(String::as_str))?;
            }
            record(connection, &actor, AuditAction::PasswordChanged, Object::subject(login))
        })
    }

    /// Deletes a user with sessions and tokens.
    pub fn delete_user(&self, actor: &Actor, login: &str) -> Result<(), Error> {
        self.write_identities(|connection| {
            load(connection, login)?;
            connection.execute("DELETE FROM user WHERE login = ?", [login])?;
            require_admin(connection, login)?;
            record(connection, actor, AuditAction::UserDeleted, Object::subject(login))
        })
    }
}

/// How a new user signs in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignInMethod<'a> {
    /// With the password of this hash.
    Password(&'a str),
    /// At a provider that verifies this subject; no password is valid.
    Subject(&'a str),
}

/// Inserts a user with a valid login.
pub(crate) fn insert(
    connection: &Connection,
    actor: &Actor,
    login: &str,
    role: Role,
    known: SignInMethod<'_>,
) -> Result<(), Error> {
    let (password, subject) = match known {
        SignInMethod::Password(hash) => (hash, None),
        SignInMethod::Subject(subject) => ("", Some(subject)),
    };
    let sql =
        "INSERT INTO user (login, role, password, created, disabled, subject) VALUES (?, ?, ?, ?, 0, ?)";
    connection
        .execute(sql, params![login, role.as_str(), password, Timestamp::now(), subject])
        .map_err(|error| if is_taken(&error) { Error::taken(Noun::User, login) } else { error.into() })?;
    record(connection, actor, AuditAction::UserCreated, Object::subject(login))
}

/// Fails unless an enabled admin remains after `login` was changed.
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

/// The password hash of a user who may sign in with one.
pub(crate) fn password_of(connection: &Connection, login: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT password FROM user WHERE login = ? AND password <> '' AND NOT disabled";
    Ok(connection.prepare_cached(sql)?.query_row([login], |row| row.get(0)).optional()?)
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        login: row.get(0)?,
        role: text::get(row, 1, Role::parse)?,
        created: row.get(2)?,
        signed_in: row.get(3)?,
        disabled: row.get(4)?,
        openid: row.get(5)?,
    })
}

pub(crate) fn check_login(login: &str) -> Result<(), Error> {
    let start = login.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = login.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte));
    // The audit log uses this login for the server itself.
    if start && rest && login.len() <= 64 && !login.eq_ignore_ascii_case("krt") {
        return Ok(());
    }
    Err(Error::Text {
        what: "login",
        rule: "1 to 64 letters, digits or `._@+-`, with a letter or digit first, and not `krt`",
    })
}
