//! An error in a value, and its place.

use crate::memory::Refused;
use std::fmt;

/// Bytes of a name or a number that an error shows.
const MAX_SHOWN: usize = 200;

/// The error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is not JSON.
    #[error("{what} at line {line} column {column}")]
    Syntax {
        /// The syntax error.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// The byte within the line, from 1.
        column: usize,
    },
    /// The text is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The value has the wrong kind.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// The expected kind, with an article.
        expected: &'static str,
        /// The start of the value.
        found: String,
    },
    /// A number out of the type's range.
    #[error("{number} does not fit in {kind}")]
    Range {
        /// The number, as written.
        number: String,
        /// The type, with an article.
        kind: &'static str,
    },
    /// A name that the message does not have.
    #[error("{message} has no field `{name}`")]
    UnknownField {
        /// The full name of the message.
        message: String,
        /// The name.
        name: String,
    },
    /// A name that the enum does not have.
    #[error("{kind} has no value {value}")]
    UnknownEnum {
        /// The full name of the enum.
        kind: String,
        /// The name or number.
        value: String,
    },
    /// A field twice, perhaps in two spellings, or a key of a map twice.
    #[error("`{name}` is there twice")]
    Twice {
        /// The second name.
        name: String,
    },
    /// Two fields of one `oneof`.
    #[error("`{first}` and `{second}` belong to the same oneof: send only one of them")]
    OneOf {
        /// The first field.
        first: String,
        /// The second field.
        second: String,
    },
    /// A name that must be there.
    #[error("`{name}` is missing")]
    Missing {
        /// The name.
        name: &'static str,
    },
    /// `null` where it has no meaning.
    #[error("null is not allowed in a list or a map")]
    Null,
    /// An `Any` without a type.
    #[error("an Any needs `@type`")]
    NoType,
    /// An `Any` of a well-known type without its value.
    #[error("an Any of {name} needs `value`")]
    NoValue {
        /// The full name of the type.
        name: String,
    },
    /// An `Any` of a type that no `.proto` has.
    #[error("no `.proto` has the type of `{url}`")]
    UnknownType {
        /// The type's URL.
        url: String,
    },
    /// Nested too deeply.
    #[error("nested more than {limit} levels deep")]
    Deep {
        /// The limit.
        limit: usize,
    },
    /// A number that JSON cannot express.
    #[error("JSON has no {number}")]
    NotFinite {
        /// NaN or an infinity.
        number: String,
    },
    /// Seconds and nanoseconds that are not a valid time.
    #[error("{seconds} s and {nanos} ns are not a valid {kind}")]
    Time {
        /// The message's name.
        kind: &'static str,
        /// Its seconds.
        seconds: i64,
        /// Its nanoseconds.
        nanos: i64,
    },
    /// A path of a field mask that JSON cannot express.
    #[error("the path `{path}` of a field mask has no spelling in JSON")]
    Mask {
        /// The path.
        path: String,
    },
    /// It needs more than its limits.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bytes are not a message.
    #[error("not a protobuf message")]
    Malformed,
    /// A field has another wire type.
    #[error("another type on the wire")]
    WireType,
}

/// Shortens a name or a number for an error.
pub(crate) fn cut(text: &str) -> String {
    let shown = &text[..text.floor_char_boundary(MAX_SHOWN)];
    if shown.len() < text.len() { format!("{shown}…") } else { shown.to_owned() }
}

impl Fault {
    /// Returns whether the encoding of a message is wrong, rather than its values.
    pub(crate) fn is_of_bytes(&self) -> bool {
        matches!(self, Self::Malformed | Self::WireType | Self::NotUtf8 | Self::Deep { .. })
    }
}

/// An error in a text, and how far the text had been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedFault {
    /// The error.
    pub fault: Fault,
    /// The line, from 1.
    pub line: usize,
    /// The byte within the line, from 1.
    pub column: usize,
}

impl fmt::Display for LocatedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, line, column } = self;
        match fault {
            Fault::Syntax { .. } | Fault::NotUtf8 => fault.fmt(f),
            fault => write!(f, "{fault} at line {line} column {column}"),
        }
    }
}

impl std::error::Error for LocatedFault {}

/// An error, and the path to it from the inside out.
#[derive(Debug)]
pub(crate) struct PathFault {
    pub(crate) fault: Fault,
    path: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Name(String),
    Index(usize),
}

/// Boxed, since errors are rare and results are many.
pub(crate) type Result<T, E = Box<PathFault>> = std::result::Result<T, E>;

impl From<Fault> for Box<PathFault> {
    fn from(fault: Fault) -> Self {
        Box::new(PathFault { fault, path: Vec::new() })
    }
}

/// Adds the place of an error, on its way out.
pub(crate) trait FaultPath<T> {
    /// In the field or under the key of that name.
    fn in_field(self, name: &str) -> Result<T>;
    /// In that item of a list.
    fn in_item(self, index: usize) -> Result<T>;
}

impl<T> FaultPath<T> for Result<T> {
    fn in_field(self, name: &str) -> Self {
        self.map_err(|error| error.in_field(name))
    }

    fn in_item(self, index: usize) -> Self {
        self.map_err(|error| error.in_item(index))
    }
}

impl PathFault {
    /// Adds the field or the key that it is in.
    pub(crate) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(Segment::Name(cut(name)));
        self
    }

    /// Adds the item of a list that it is in.
    pub(crate) fn in_item(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Index(index));
        self
    }

    /// Returns the path to it, such as `items[2].price`; empty for the whole message.
    pub(crate) fn at(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.path.iter().rev().enumerate() {
            match segment {
                Segment::Name(name) if position == 0 => f.write_str(name)?,
                Segment::Name(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
