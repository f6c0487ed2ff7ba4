//! What a client sends beside its message: gRPC's metadata, or HTTP headers, of the names that a version lists.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The name of a value: lowercase letters, digits, `-`, `_` and `.` (gRPC over HTTP/2, "Custom-Metadata").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetadataName(Arc<str>);

/// Why a text is not the name of a value that handlers may see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A character that no name has.
    #[error(
        "`{text}` is not the name of a header: lowercase letters, digits, `-`, `_` and `.` only, at least one"
    )]
    Character {
        /// The text.
        text: String,
    },
    /// A name of HTTP, gRPC, Connect or krt.
    #[error("the header `{text}` belongs to the protocol, and no handler sees it")]
    Protocol {
        /// The text.
        text: String,
    },
    /// A name under which clients send tokens of a server.
    #[error("the header `{text}` may hold a token of the server, and no handler sees it")]
    Token {
        /// The text.
        text: String,
    },
}

/// The starts of names that belong to protocols.
const PROTOCOL_STARTS: [&str; 4] = ["grpc-", "connect-", "krt-", "proxy-"];
/// Names that belong to protocols.
const PROTOCOL: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Names under which clients send tokens of a server.
const TOKEN: [&str; 2] = ["authorization", "cookie"];

impl MetadataName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(NameError::Character { text: text.to_owned() });
        }
        if PROTOCOL.contains(&text) || PROTOCOL_STARTS.iter().any(|start| text.starts_with(start)) {
            return Err(NameError::Protocol { text: text.to_owned() });
        }
        if TOKEN.contains(&text) {
            return Err(NameError::Token { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether its values are bytes.
    pub fn is_binary(&self) -> bool {
        self.0.ends_with("-bin")
    }
}

impl TryFrom<String> for MetadataName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<MetadataName> for String {
    fn from(name: MetadataName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for MetadataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Values by name, those of one name in the order in which they came.
///
/// A text is printable ASCII. A value of bytes is base64 with padding.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<MetadataName, Vec<String>>", into = "BTreeMap<MetadataName, Vec<String>>")]
pub struct Metadata {
    values: BTreeMap<MetadataName, Vec<String>>,
    size: usize,
}

/// Why a value cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text with other characters than printable ASCII.
    #[error("the header `{name}` has other characters than printable ASCII")]
    Text {
        /// The name.
        name: MetadataName,
    },
    /// Not base64.
    #[error("the header `{name}` is not base64, as the values of names that end in `-bin` are")]
    Base64 {
        /// The name.
        name: MetadataName,
    },
    /// Too much of it.
    #[error("the headers for handlers have more than the limit of {limit} bytes", limit = Metadata::MAX_SIZE)]
    TooLarge,
}

/// Reads base64 with padding or without it, as gRPC requires.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Metadata {
    /// The largest size, in bytes: what gRPC advises for all metadata of a call.
    pub const MAX_SIZE: usize = 8 << 10;
    /// What a value counts besides its name and its bytes, as in HTTP/2.
    const OVERHEAD: usize = 32;

    /// Adds a value as a header has it. A value of bytes may be several, with commas between them.
    pub fn add(&mut self, name: &MetadataName, value: &[u8]) -> Result<(), Error> {
        if !name.is_binary() {
            let text = std::str::from_utf8(value).ok();
            let text = text.filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            return self.push(name, text.ok_or_else(|| Error::Text { name: name.clone() })?.to_owned());
        }
        for part in value.split(|&byte| byte == b',') {
            let bytes = BASE64.decode(part.trim_ascii()).map_err(|_| Error::Base64 { name: name.clone() })?;
            self.push(name, general_purpose::STANDARD.encode(bytes))?;
        }
        Ok(())
    }

    fn push(&mut self, name: &MetadataName, value: String) -> Result<(), Error> {
        self.size += name.as_str().len() + value.len() + Self::OVERHEAD;
        if self.size > Self::MAX_SIZE {
            return Err(Error::TooLarge);
        }
        self.values.entry(name.clone()).or_default().push(value);
        Ok(())
    }

    /// Returns whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the values of each name.
    pub fn iter(&self) -> impl Iterator<Item = (&MetadataName, &[String])> {
        self.values.iter().map(|(name, values)| (name, values.as_slice()))
    }

    /// Returns its size: names, values, and an overhead for each value.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// Shows the names only: values may be secrets.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys().map(MetadataName::as_str)).finish()
    }
}

impl TryFrom<BTreeMap<MetadataName, Vec<String>>> for Metadata {
    type Error = Error;

    fn try_from(values: BTreeMap<MetadataName, Vec<String>>) -> Result<Self, Error> {
        let mut metadata = Self::default();
        for (name, values) in values {
            for value in values {
                metadata.add(&name, value.as_bytes())?;
            }
        }
        Ok(metadata)
    }
}

impl From<Metadata> for BTreeMap<MetadataName, Vec<String>> {
    fn from(metadata: Metadata) -> Self {
        metadata.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> MetadataName {
        MetadataName::parse(text).unwrap()
    }

    fn with(text: &str, values: &[&str]) -> Result<Metadata, Error> {
        let mut metadata = Metadata::default();
        values.iter().try_for_each(|value| metadata.add(&name(text), value.as_bytes()))?;
        Ok(metadata)
    }

    fn json(metadata: &Metadata) -> String {
        serde_json::to_string(metadata).unwrap()
    }

    #[test]
    fn names() {
        for good in ["x-tenant", "accept-language", "a", "0", "x.y_z", "x-key-bin", "user-agent", "krt"] {
            assert_eq!(name(good).as_str(), good);
        }
        for bad in ["", "X-Tenant", "x tenant", "x:y", ":path", "é", "x\n"] {
            assert!(matches!(MetadataName::parse(bad), Err(NameError::Character { .. })), "{bad}");
        }
        for reserved in ["grpc-timeout", "connect-timeout-ms", "krt-version", "host", "te", "proxy-x"] {
            assert!(matches!(MetadataName::parse(reserved), Err(NameError::Protocol { .. })), "{reserved}");
        }
        for token in ["authorization", "cookie"] {
            assert!(matches!(MetadataName::parse(token), Err(NameError::Token { .. })), "{token}");
        }
    }

    #[test]
    fn values_of_one_name_keep_their_order() {
        let metadata = with("x-tenant", &["b", "a, c", ""]).unwrap();
        assert_eq!(json(&metadata), r#"{"x-tenant":["b","a, c",""]}"#);
        assert!(matches!(with("x-tenant", &["é"]), Err(Error::Text { .. })));
        assert!(matches!(with("x-tenant", &["a\tb"]), Err(Error::Text { .. })));
    }

    #[test]
    fn values_of_bytes_have_one_form() {
        let metadata = with("x-key-bin", &["AP8", "AP8=, AQ", ""]).unwrap();
        assert_eq!(json(&metadata), r#"{"x-key-bin":["AP8=","AP8=","AQ==",""]}"#);
        assert!(matches!(with("x-key-bin", &["A"]), Err(Error::Base64 { .. })));
        assert!(matches!(with("x-key-bin", &["A_-8"]), Err(Error::Base64 { .. })));
    }

    #[test]
    fn the_size_has_a_limit() {
        let fits = "x".repeat(Metadata::MAX_SIZE - 32 - 1);
        assert_eq!(with("a", &[&fits]).unwrap().size(), Metadata::MAX_SIZE);
        assert_eq!(with("a", &[&fits, ""]), Err(Error::TooLarge));
        assert_eq!(with("a", &[&(fits + "x")]), Err(Error::TooLarge));
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", with("x-tenant", &["secret"]).unwrap()), r#"{"x-tenant"}"#);
    }

    proptest! {
        #[test]
        fn json_round_trips(texts in prop::collection::vec("[ -~]{0,9}", 0..4), bytes: Vec<u8>) {
            let mut metadata = Metadata::default();
            for text in &texts {
                metadata.add(&name("x-text"), text.as_bytes()).unwrap();
            }
            metadata.add(&name("x-bytes-bin"), general_purpose::STANDARD.encode(bytes).as_bytes()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Metadata>(&json(&metadata)).unwrap(), metadata);
        }

        #[test]
        fn any_value_is_kept_or_refused(value: Vec<u8>) {
            for at in ["x-text", "x-bytes-bin"] {
                let mut metadata = Metadata::default();
                if metadata.add(&name(at), &value).is_ok() {
                    prop_assert_eq!(serde_json::from_str::<Metadata>(&json(&metadata)).unwrap(), metadata);
                }
            }
        }
    }
}
