//! Users that an OpenID provider verifies.

use crate::{
    audit::{Actor, Object, record},
    error::Error,
    registry::Registry,
    session::{self, OpenedSession},
    text,
    timestamp::Timestamp,
    user,
};
use krt_model::team::{AuditAction, Role};
use rusqlite::{Connection, OptionalExtension as _, params};

/// A user that the provider has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedUser {
    /// The unique subject: the provider's address, and its name for the user.
    pub subject: String,
    /// The login for the user here.
    pub login: String,
    /// The user's role.
    pub role: RoleSource,
}

/// The source of a user's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleSource {
    /// The provider sets it at each sign-in; changes made here hold until then.
    Provider(Role),
    /// It is set here: the provider has none, and this one is for new users.
    Local(Role),
}

/// A user in the database.
struct StoredUser {
    login: String,
    role: Role,
    disabled: bool,
}

impl Registry {
    /// Signs in a verified user, and creates the user at the first sign-in.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`] where another user has the login: a name chosen at the provider must not take over an
    /// existing user.
    pub fn sign_in_verified(&self, verified: &VerifiedUser, agent: &str) -> Result<OpenedSession, Error> {
        self.write_identities(|connection| {
            let user = match find(connection, &verified.subject)? {
                Some(user) => take_role(connection, user, verified.role)?,
                None => create(connection, verified)?,
            };
            if user.disabled {
                return Err(Error::Disabled { login: user.login });
            }
            let sql = "UPDATE user SET signed_in = ? WHERE login = ?";
            connection.execute(sql, params![Timestamp::now(), user.login])?;
            session::open(connection, user.login, user.role, agent)
        })
    }
}

fn find(connection: &Connection, subject: &str) -> Result<Option<StoredUser>, Error> {
    let sql = "SELECT login, role, disabled FROM user WHERE subject = ?";
    let found = connection.query_row(sql, [subject], |row| {
        Ok(StoredUser { login: row.get(0)?, role: text::get(row, 1, Role::parse)?, disabled: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Updates a user's role from the provider.
fn take_role(connection: &Connection, user: StoredUser, role: RoleSource) -> Result<StoredUser, Error> {
    let role = match role {
        RoleSource::Provider(role) if role != user.role => role,
        _ => return Ok(user),
    };
    let StoredUser { login, disabled, .. } = user;
    connection.execute("UPDATE user SET role = ? WHERE login = ?", [role.as_str(), &login])?;
    user::require_admin(connection, &login)?;
    record(connection, &by_provider(), AuditAction::UserChanged, Object::subject(&login))?;
    Ok(StoredUser { login, role, disabled })
}

fn create(connection: &Connection, verified: &VerifiedUser) -> Result<StoredUser, Error> {
    let (RoleSource::Provider(role) | RoleSource::Local(role)) = verified.role;
    let login = &verified.login;
    user::check_login(login)?;
    user::insert(connection, &by_provider(), login, role, user::SignInMethod::Subject(&verified.subject))?;
    Ok(StoredUser { login: login.clone(), role, disabled: false })
}

fn by_provider() -> Actor {
    Actor { comment: "by the OpenID provider".to_owned(), ..Actor::server() }
}
