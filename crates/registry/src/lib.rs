//! The persistent state of a team's server, in SQLite and in files beside it.
//!
//! - [`Registry`]: the handle; each method is in the file of its noun.
//! - [`state`]: the allowed transitions between a version's states, as a pure function.
//! - `runtime`, `version`, `config`, `value`, `board`: runtimes, versions, their configuration and its values, and boards.
//! - `user`, `token`, `session`, `identity`, `openid`, `password`, `secret`, [`attempts`]: authentication and
//!   permissions.
//! - `audit`: the audit log.
//! - `database`, `folder`, `snapshot`: storage and backups.
//!
//! Nothing here starts a process or opens a socket. Every method blocks on SQLite: call it on a thread that
//! may block. A change and its entry in the audit log are one transaction. Passwords are hashed with argon2;
//! of tokens and cookies only hashes are stored; values of configuration are stored as they are, in files
//! that only the server's own user may read.

pub mod attempts;
mod audit;
mod board;
mod config;
mod credential;
mod database;
mod error;
mod folder;
mod identity;
mod openid;
mod password;
mod registry;
mod runtime;
mod secret;
mod session;
mod snapshot;
pub mod state;
mod text;
mod timestamp;
mod token;
mod user;
mod value;
mod version;

pub use audit::{Actor, AuditEntry, AuditFilter, AuditRetention};
pub use board::{Board, NewBoard};
pub use credential::Credential;
pub use error::{Error, Fault, Noun};
pub use folder::{Folder, Layout, VersionFolder};
pub use identity::{EndReason, Identity};
pub use openid::{RoleSource, VerifiedUser};
pub use registry::Registry;
pub use runtime::{NewRuntime, Runtime, RuntimeChange};
pub use secret::Secret;
pub use session::{OpenedSession, Session, SessionUser};
pub use snapshot::Snapshot;
pub use state::VersionStatus;
pub use timestamp::Timestamp;
pub use token::{CreatedToken, NewToken, Token, TokenUser};
pub use user::{NewPassword, NewUser, User, UserChange};
pub use value::{ConfigEntry, Value};
pub use version::{NewVersion, Version};
