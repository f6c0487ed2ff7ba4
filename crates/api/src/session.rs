//! Signing in, and the sessions of browsers.

use crate::{Hidden, Role, Time, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A sign-in with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name.
    #[schema(min_length = 1, max_length = 64)]
    pub login: String,
    /// The user's password.
    #[schema(value_type = String, min_length = 1, max_length = 1024)]
    pub password: Hidden,
}

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The user's name.
    pub login: String,
    /// The role of the session or token.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// To be sent as the header `x-csrf-token` with every request that changes something and carries the
    /// cookie. `null` for a bearer token.
    #[schema(required, value_type = Option<String>)]
    pub csrf_token: Option<Hidden>,
}

/// A change of the caller's own password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The current password.
    #[schema(value_type = String, max_length = 1024)]
    pub current: Hidden,
    /// The new password.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    pub new: Hidden,
    /// Whether to revoke the caller's tokens, too, except the one that authenticates this request.
    #[serde(default = "default_true")]
    #[schema(default = true)]
    pub revoke_tokens: bool,
}

fn default_true() -> bool {
    true
}

/// A session of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The user.
    pub login: String,
    /// When it began.
    #[schema(value_type = schema::Time)]
    pub created: Time,
    /// When it was last used, to the minute.
    #[schema(value_type = schema::Time)]
    pub used: Time,
    /// When it expires.
    #[schema(value_type = schema::Time)]
    pub expires: Time,
    /// The browser's `User-Agent`.
    pub agent: String,
    /// Whether it is the caller's own.
    pub current: bool,
}
