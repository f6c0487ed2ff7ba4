//! Users.

use crate::{Hidden, Role, Time, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The name to sign in with.
    pub login: String,
    /// The role.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    pub created: Time,
    /// When the user last signed in.
    #[schema(required, value_type = Option<schema::Time>)]
    pub signed_in: Option<Time>,
    /// Whether the user may not sign in.
    pub disabled: bool,
    /// Whether the user signs in at the OpenID provider.
    pub openid: bool,
}

/// A user to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to sign in with.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]*$", min_length = 1, max_length = 64)]
    pub login: String,
    /// The role.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// The password.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    pub password: Hidden,
}

/// Changes of a user; fields that are absent or `null` stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The role.
    #[schema(value_type = Option<schema::Role>)]
    pub role: Option<Role>,
    /// The password.
    #[schema(value_type = Option<String>, min_length = 12, max_length = 1024)]
    pub password: Option<Hidden>,
    /// Whether the user may not sign in.
    pub disabled: Option<bool>,
    /// Whether to revoke the user's tokens; with a new password the default is `true`.
    pub revoke_tokens: Option<bool>,
    /// The reason, for the audit log.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: String,
}
