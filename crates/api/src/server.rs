//! The server's properties.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The server's properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// The version of krt.
    pub version: String,
    /// `run`: one fixed runtime and version, read only, without sign-in.
    pub mode: Mode,
    /// Where clients call published versions: host and port.
    pub public_address: String,
    /// Whether clients call them over TLS.
    pub public_tls: bool,
    /// Whether users must sign in.
    pub sign_in: bool,
    /// The provider at which users may sign in, too: `/session/openid`.
    #[schema(required)]
    pub openid: Option<OpenId>,
    /// The largest bodies that the server takes.
    pub limits: Limits,
}

/// The command that runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `krt serve`.
    Serve,
    /// `krt run`.
    Run,
}

/// An OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenId {
    /// Its display name.
    pub name: String,
}

/// The largest bodies that the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// The largest package, in bytes.
    pub package_bytes: u64,
    /// The largest message of a client, in bytes.
    pub message_bytes: usize,
}
