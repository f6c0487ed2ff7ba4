//! Users whom an OpenID provider vouches for.

use crate::{
    audit::{Action, Actor, Object, note},
    error::Error,
    moment::Moment,
    registry::Registry,
    role::Role,
    session::{self, OpenedSession},
    user,
};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Somebody whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who it is: the provider's address, and the name that it has for the user. Never another's.
    pub subject: String,
    /// The login that the user would have here.
    pub login: String,
    /// What the user may do.
    pub role: VouchedRole,
}

/// Where a user's role comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VouchedRole {
    /// From the provider, each time: what is changed here holds until then.
    Theirs(Role),
    /// From here: the provider says nothing of it, and this is a newcomer's.
    Ours(Role),
}

/// A user as the database has it.
struct Known {
    login: String,
    role: Role,
    disabled: bool,
}

impl Registry {
    /// Lets in whom the provider vouches for; somebody who was never here becomes a user.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`] where somebody else has the login: whoever chooses names at the provider does not
    /// become a user of this server who is there already.
    pub fn sign_in_vouched(&self, vouched: &Vouched, agent: &str) -> Result<OpenedSession, Error> {
        self.write(|connection| {
            let user = match find(connection, &vouched.subject)? {
                Some(user) => take_role(connection, user, vouched.role)?,
                None => create(connection, vouched)?,
            };
            if user.disabled {
                return Err(Error::Disabled { login: user.login });
            }
            let sql = "UPDATE user SET signed_in = ? WHERE login = ?";
            connection.execute(sql, params![Moment::now(), user.login])?;
            session::open(connection, user.login, user.role, agent)
        })
    }
}

fn find(connection: &Connection, subject: &str) -> Result<Option<Known>, Error> {
    let sql = "SELECT login, role, disabled FROM user WHERE subject = ?";
    let found = connection.query_row(sql, [subject], |row| {
        Ok(Known { login: row.get(0)?, role: row.get(1)?, disabled: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Gives a user the role that the provider says.
fn take_role(connection: &Connection, user: Known, role: VouchedRole) -> Result<Known, Error> {
    let role = match role {
        VouchedRole::Theirs(role) if role != user.role => role,
        _ => return Ok(user),
    };
    let Known { login, disabled, .. } = user;
    connection.execute("UPDATE user SET role = ? WHERE login = ?", params![role, login])?;
    user::require_admin(connection, &login)?;
    note(connection, &by_provider(), Action::UserChanged, Object::subject(&login))?;
    Ok(Known { login, role, disabled })
}

fn create(connection: &Connection, vouched: &Vouched) -> Result<Known, Error> {
    let (VouchedRole::Theirs(role) | VouchedRole::Ours(role)) = vouched.role;
    let login = &vouched.login;
    user::check_login(login)?;
    user::insert(connection, &by_provider(), login, role, user::Known::Subject(&vouched.subject))?;
    Ok(Known { login: login.clone(), role, disabled: false })
}

fn by_provider() -> Actor {
    Actor { comment: "by the OpenID provider".to_owned(), ..Actor::server() }
}
