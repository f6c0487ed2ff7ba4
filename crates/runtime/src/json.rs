//! Proto3 JSON: messages of types that are known at run time only, to JSON and back.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor, prost::Message as _};

/// Why there is no message, or no JSON.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The JSON does not parse, or does not fit the type.
    #[error("not a {name}{}", Place(.at))]
    Parse {
        /// The full name of the type.
        name: String,
        /// The field, such as `items[2].price`.
        at: String,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// The bytes are no message of the type.
    #[error("not a {name}")]
    Decode {
        /// The full name of the type.
        name: String,
        /// What is wrong with them.
        source: prost::DecodeError,
    },
    /// The message holds what proto3 JSON cannot say, such as an `Any` of an unknown type.
    #[error("a {name} that JSON cannot say")]
    Write {
        /// The full name of the type.
        name: String,
        /// What cannot be written.
        source: serde_json::Error,
    },
}

/// Encodes the message that a JSON text says.
pub fn parse(kind: &MessageDescriptor, text: &[u8]) -> Result<Bytes, Error> {
    read(kind, text).map(|message| message.encode_to_vec().into())
}

/// Builds the message that a JSON text says.
pub fn read(kind: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let message = DynamicMessage::deserialize(kind.clone(), tracked);
    let failed = |source, at| Error::Parse { name: kind.full_name().to_owned(), at, source };
    let message = message.map_err(|source| failed(source, track.path().to_string()))?;
    json.end().map_err(|source| failed(source, String::new()))?;
    Ok(message)
}

/// Writes an encoded message as JSON.
pub fn write(kind: &MessageDescriptor, message: &[u8]) -> Result<Bytes, Error> {
    let name = || kind.full_name().to_owned();
    let message = DynamicMessage::decode(kind.clone(), message)
        .map_err(|source| Error::Decode { name: name(), source })?;
    let text = serde_json::to_vec(&message).map_err(|source| Error::Write { name: name(), source })?;
    Ok(text.into())
}

/// Where something is wrong; nothing for the whole.
struct Place<'a>(&'a str);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" | "." | "?" => Ok(()),
            at => write!(f, ": field `{at}`"),
        }
    }
}

#[cfg(test)]
mod tests;
