//! What a team's server remembers, in SQLite and in files beside it.
//!
//! - [`Registry`]: the handle; its methods stand in the file of the noun that they are about.
//! - [`state`]: which state a version may go to from which: a pure function.
//! - `runtime`, `version`, `config`, `board`: what runs, and how it is shown.
//! - `user`, `token`, `session`, `openid`, `password`, `secret`, [`attempts`]: who may do what.
//! - `audit`: who did what, and why.
//! - `database`, `folder`: where it is kept.
//!
//! Nothing here starts a process or opens a socket. Every method blocks for as long as SQLite does:
//! call it on a thread where that is allowed. A change and its line in the audit log are one
//! transaction. Passwords are hashed with argon2, tokens and cookies are kept as hashes; values of
//! configuration are kept as they are, in files that only the server's own user may read.

pub mod attempts;
mod audit;
mod board;
mod config;
mod database;
mod error;
mod folder;
mod moment;
mod openid;
mod password;
mod registry;
mod role;
mod runtime;
mod secret;
mod session;
pub mod state;
mod text;
mod token;
mod user;
mod version;

pub use audit::{Action, Actor, AuditEntry, AuditFilter};
pub use board::{Board, NewBoard};
pub use config::{ConfigEntry, Value};
pub use error::{Error, Fault, Noun};
pub use folder::{Folder, Place};
pub use moment::Moment;
pub use openid::{Vouched, VouchedRole};
pub use registry::Registry;
pub use role::Role;
pub use runtime::{NewRuntime, Runtime, RuntimeChange};
pub use secret::Secret;
pub use session::{OpenedSession, Session, SessionUser};
pub use state::{Standing, State};
pub use token::{CreatedToken, NewToken, Token};
pub use user::{NewUser, User, UserChange};
pub use version::{NewVersion, Version};
