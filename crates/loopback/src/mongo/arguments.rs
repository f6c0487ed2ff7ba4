//! Reads the arguments of a command.

use super::error::CommandError;
use bson::{Bson, Document};
use std::time::Duration;

/// Fields that any command may have, without meaning for a server of one process without sessions.
const IGNORED: [&str; 11] = [
    "$db",
    "$clusterTime",
    "$readPreference",
    "apiDeprecationErrors",
    "apiStrict",
    "apiVersion",
    "comment",
    "lsid",
    "maxTimeMS",
    "readConcern",
    "writeConcern",
];

/// The arguments of a command, by field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arguments<'a> {
    command: &'static str,
    body: &'a Document,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(command: &'static str, body: &'a Document) -> Self {
        Self { command, body }
    }

    /// Refuses unknown fields, which would otherwise be ignored silently.
    pub(super) fn allow(self, known: &[&str]) -> Result<Self, CommandError> {
        let unknown = self.body.keys().skip(1).find(|field| {
            let field = field.as_str();
            !known.contains(&field) && !IGNORED.contains(&field)
        });
        match unknown {
            None => Ok(self),
            Some(field) => Err(CommandError::UnknownField { command: self.command, field: field.clone() }),
        }
    }

    /// The value of a field; `None` also for null.
    pub(super) fn value(self, field: &str) -> Option<&'a Bson> {
        self.body.get(field).filter(|value| **value != Bson::Null)
    }

    /// The collection, from the field named as the command.
    pub(super) fn collection(self) -> Result<&'a str, CommandError> {
        self.text(self.command)
    }

    pub(super) fn text(self, field: &'static str) -> Result<&'a str, CommandError> {
        match self.value(field) {
            Some(Bson::String(text)) => Ok(text),
            _ => Err(self.wrong(field, "a string")),
        }
    }

    /// A document; empty if absent.
    pub(super) fn document(self, field: &'static str) -> Result<Document, CommandError> {
        match self.value(field) {
            None => Ok(Document::new()),
            Some(Bson::Document(document)) => Ok(document.clone()),
            Some(_) => Err(self.wrong(field, "an object")),
        }
    }

    pub(super) fn array(self, field: &'static str) -> Result<&'a [Bson], CommandError> {
        match self.value(field) {
            Some(Bson::Array(values)) => Ok(values),
            _ => Err(self.wrong(field, "an array")),
        }
    }

    /// A boolean.
    pub(super) fn flag(self, field: &'static str, default: bool) -> Result<bool, CommandError> {
        match self.value(field) {
            None => Ok(default),
            Some(Bson::Boolean(truth)) => Ok(*truth),
            Some(value) => {
                to_integer(value).map(|number| number != 0).ok_or_else(|| self.wrong(field, "a boolean"))
            }
        }
    }

    pub(super) fn integer(self, field: &'static str) -> Result<Option<i64>, CommandError> {
        self.value(field)
            .map(|value| to_integer(value).ok_or_else(|| self.wrong(field, "a whole number")))
            .transpose()
    }

    /// A non-negative number.
    pub(super) fn count(self, field: &'static str) -> Result<Option<u64>, CommandError> {
        self.integer(field)?
            .map(|number| u64::try_from(number).map_err(|_| self.wrong(field, "0 or more")))
            .transpose()
    }

    /// The timeout of the command; 0 means none.
    pub(super) fn time(self) -> Result<Option<Duration>, CommandError> {
        Ok(self.count("maxTimeMS")?.filter(|&millis| millis > 0).map(Duration::from_millis))
    }

    /// Rejects a field with any effect.
    pub(super) fn reject(self, field: &'static str) -> Result<(), CommandError> {
        let nothing = match self.value(field) {
            None | Some(Bson::Boolean(false)) => true,
            Some(Bson::Document(document)) => document.is_empty(),
            Some(_) => false,
        };
        let what = || format!("`{}.{field}`", self.command);
        if nothing { Ok(()) } else { Err(CommandError::NotSupported { what: what() }) }
    }

    fn wrong(self, field: &'static str, expected: &'static str) -> CommandError {
        CommandError::Type { command: self.command, field, expected }
    }
}

/// An integer, of any numeric kind.
pub(super) fn to_integer(value: &Bson) -> Option<i64> {
    match *value {
        Bson::Int32(number) => Some(number.into()),
        Bson::Int64(number) => Some(number),
        // Within 53 bits, a double represents every integer exactly.
        Bson::Double(number) if number.fract() == 0.0 && number.abs() <= 2_f64.powi(53) => {
            Some(number as i64)
        }
        _ => None,
    }
}

/// The payload of a sign-in, as bytes or text.
pub(super) fn payload(body: &Document) -> Option<String> {
    match body.get("payload")? {
        Bson::Binary(binary) => String::from_utf8(binary.bytes.clone()).ok(),
        Bson::String(text) => Some(text.clone()),
        _ => None,
    }
}
