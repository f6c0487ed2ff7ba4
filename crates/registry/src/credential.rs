//! The proof of an identity.

/// The proof of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The session with this id.
    Session(String),
    /// The token with this id.
    Token(String),
}
