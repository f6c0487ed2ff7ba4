//! Names that obey a rule of KRT v1.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, sync::Arc};

/// The name of a version, a node or a workflow.
///
/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, shorter than 20 characters (docs/reference/krt-v1.md#names).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// 20 characters or more.
    #[error("`{text}` has {length} characters, a name has at most {max}", max = Name::MAX_LENGTH)]
    TooLong {
        /// The text.
        text: String,
        /// Its number of characters.
        length: usize,
    },
    /// A character that the rule forbids, or forbids at its position.
    #[error(
        "`{text}` is not a name: lowercase letters, digits and `-` only, with a letter or digit at both ends"
    )]
    Character {
        /// The text.
        text: String,
    },
    /// Not the name of a variable.
    #[error(
        "`{text}` is not the name of a variable: capital letters, digits and `_` only, with a letter or digit at both ends"
    )]
    Variable {
        /// The text.
        text: String,
    },
}

impl Name {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 19;

    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !follows(text, inner, b'-') {
            return Err(Error::Character { text: text.to_owned() });
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(Error::TooLong { text: text.to_owned(), length: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a configuration variable or file.
///
/// `^[A-Z0-9]([_A-Z0-9]*[A-Z0-9])?$` (docs/reference/krt-v1.md#names).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableName(Arc<str>);

impl VariableName {
    /// Parses the name of a variable.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let inner = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !follows(text, inner, b'_') {
            return Err(Error::Variable { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether every character is `inner` or `joint`, and the first and last are `inner`.
fn follows(text: &str, inner: impl Fn(u8) -> bool, joint: u8) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    inner(first) && inner(last) && bytes.iter().all(|&byte| inner(byte) || byte == joint)
}

macro_rules! text {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $kind {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

text!(Name, VariableName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["a", "0", "greeter", "a-b", "v1-2", "nineteen-characters"] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "é", "a.b", "twenty-characters-no"] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables() {
        for good in ["A", "API_KEY", "0", "A__B", "X1"] {
            assert_eq!(VariableName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "_A", "A_", "a", "A-B", "É"] {
            assert!(VariableName::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_text_that_matches_the_rule_is_a_name(text in "[a-z0-9]([-a-z0-9]{0,17}[a-z0-9])?") {
            prop_assert!(Name::parse(&text).is_ok());
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = (Name::parse(&text), VariableName::parse(&text));
        }
    }
}
