//! Tokens for programs.

use crate::{Hidden, Role, Time, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token for programs. Its role is at most its owner's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its owner.
    pub login: String,
    /// Its role.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    pub created: Time,
    /// When it was last used, to the minute.
    #[schema(required, value_type = Option<schema::Time>)]
    pub used: Option<Time>,
    /// When it expires.
    #[schema(required, value_type = Option<schema::Time>)]
    pub expires: Option<Time>,
    /// The beginning of its secret.
    pub prefix: String,
    /// The id of the token that created it; it ends with that token.
    #[schema(required)]
    pub parent: Option<String>,
}

/// A token to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its display name.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Its role, at most the caller's.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// When it expires.
    #[schema(value_type = Option<schema::Time>)]
    pub expires: Option<Time>,
}

/// A new token with its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// The secret, shown only once.
    #[schema(value_type = String)]
    pub secret: Hidden,
}
