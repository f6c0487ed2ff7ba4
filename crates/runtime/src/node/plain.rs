//! `payload: json`: a node whose handler gets and returns plain data.
//!
//! Between nodes the data travels as a `google.protobuf.Struct`, which keeps the digits of its numbers for
//! the next such node. At the ends of a workflow it is the proto3 JSON of the RPC's types, with the names in
//! the `.proto`, whole numbers as numbers, and defaults. The rest of the engine does not know about it.

use crate::{
    flow::no_memory,
    json::{self, Bounds, Format, STRUCT},
    memory::{Refused, Reservation},
};
use bytes::Bytes;
use krt_model::{
    hint,
    message::{Payload, TYPE_URL_PREFIX},
    name::Name,
    outcome::{Failure, HandlerResult},
};
use prost_reflect::DescriptorPool;

/// Converts messages to plain data and back.
#[derive(Debug)]
pub struct Plain(DescriptorPool);

/// Why a message cannot become plain data, or plain data a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConversionError {
    /// No `.proto` of the package has the type.
    #[error("no `.proto` of the package describes the message `{name}`, which plain data is to be made of")]
    Unknown {
        /// The full name of the type.
        name: String,
    },
    /// The node's input does not match its type, or cannot be written as JSON.
    #[error("the input is not plain data")]
    Input(#[source] json::Error),
    /// The handler's result does not match the RPC's type.
    #[error("what the handler returned does not fit")]
    Output(#[source] json::Error),
    /// The handler's result for the next node is not a map.
    #[error("what the handler returned for the next node must be a map of names to values, not {found}")]
    NotMap {
        /// Its kind, with an article.
        found: &'static str,
    },
    /// It exceeds its limit, or there is no memory for it.
    #[error("the message is too large")]
    Refused(#[source] Refused),
}

impl Plain {
    /// Creates a converter for a package's messages.
    pub fn new(pool: DescriptorPool) -> Self {
        Self(pool)
    }

    /// Converts a message to JSON for the handler.
    pub(super) fn to_json(
        &self,
        payload: &Payload,
        reservation: Reservation,
    ) -> Result<Bytes, ConversionError> {
        let bounds = Bounds { limit: usize::MAX, reservation };
        let written = if payload.type_name() == STRUCT {
            json::write_struct(payload.value(), Format::PLAIN, bounds)
        } else {
            json::write(&self.find(payload.type_name())?, payload.value(), Format::PLAIN, bounds)
        };
        written.map_err(ConversionError::input)
    }

    /// Converts a handler's result to a message of the RPC's answer type.
    pub(super) fn to_answer(
        &self,
        text: &[u8],
        type_name: &str,
        bounds: Bounds,
    ) -> Result<Payload, ConversionError> {
        let kind = self.find(type_name)?;
        let packed = bounds.reservation.another();
        let message = json::parse(&kind, text, bounds).map_err(ConversionError::output)?;
        pack(type_name, &message, packed)
    }

    /// Converts a handler's result for the next node.
    pub(super) fn to_struct(text: &[u8], bounds: Bounds) -> Result<Payload, ConversionError> {
        if let Some(found) = no_map(text) {
            return Err(ConversionError::NotMap { found });
        }
        let packed = bounds.reservation.another();
        let fields = json::parse_struct(text, bounds).map_err(ConversionError::output)?;
        pack(STRUCT, &fields, packed)
    }

    fn find(&self, type_name: &str) -> Result<prost_reflect::MessageDescriptor, ConversionError> {
        let found = self.0.get_message_by_name(type_name);
        found.ok_or_else(|| ConversionError::Unknown { name: type_name.to_owned() })
    }
}

impl ConversionError {
    /// Returns the error as a handler's result.
    pub(super) fn result(&self) -> HandlerResult {
        match self {
            Self::Refused(Refused::Full(full)) => HandlerResult::NoMemory { limit: full.limit },
            error => HandlerResult::Error(hint::messages(error)),
        }
    }

    /// Returns the failure of a node's answer.
    pub(super) fn failure(&self, node: &Name) -> Failure {
        match self {
            Self::Refused(Refused::Full(full)) => no_memory(*full),
            error => Failure::Handler { node: node.clone(), error: hint::messages(error) },
        }
    }

    fn input(error: json::Error) -> Self {
        Self::of(error, Self::Input)
    }

    fn output(error: json::Error) -> Self {
        Self::of(error, Self::Output)
    }

    fn of(error: json::Error, otherwise: impl FnOnce(json::Error) -> Self) -> Self {
        match error {
            json::Error::Refused(refused) => Self::Refused(refused),
            error => otherwise(error),
        }
    }
}

/// Packs a message, and reserves the copy before making it.
fn pack(type_name: &str, message: &Bytes, mut packed: Reservation) -> Result<Payload, ConversionError> {
    let url = format!("{TYPE_URL_PREFIX}{type_name}");
    packed
        .try_grow(Payload::packed_size(&url, message))
        .map_err(|full| ConversionError::Refused(full.into()))?;
    Ok(Payload::pack(&url, message).held(|bytes| packed.hold(bytes)))
}

/// Returns the kind of a JSON text that is not an object.
fn no_map(text: &[u8]) -> Option<&'static str> {
    match text.trim_ascii_start().first()? {
        b'n' => Some("null"),
        b't' | b'f' => Some("a boolean"),
        b'-' | b'0'..=b'9' => Some("a number"),
        b'"' => Some("a text"),
        b'[' => Some("a list"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
