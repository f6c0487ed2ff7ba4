//! Random secrets and their hashes.

use crate::error::Error;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A secret that grants access. Stored only as a hash, and hidden in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The prefix of tokens, so that a leaked one is recognizable.
const PREFIX: &str = "krt_";

impl Secret {
    /// 256 random bits.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self(random::<32>()?))
    }

    /// 256 random bits, as a token.
    pub(crate) fn token() -> Result<Self, Error> {
        Ok(Self(format!("{PREFIX}{}", random::<32>()?)))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    /// Its beginning: enough to recognize it, too little to use it.
    pub(crate) fn beginning(&self) -> String {
        self.0.chars().take(PREFIX.len() + 4).collect()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The stored hash of a secret. Secrets have too many bits to be guessed, so a fast hash is enough.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A random id: unique, but not secret.
pub(crate) fn id() -> Result<String, Error> {
    random::<12>()
}

fn random<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_unique_and_never_shown() {
        let (one, other) = (Secret::token().unwrap(), Secret::token().unwrap());
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "…");
        assert_eq!(one.beginning().len(), 8);
        assert_eq!(one.reveal().len(), 47);
    }
}
