//! The tensors of a message.
//!
//! - A scalar field is a tensor of one element, which has the field's name.
//! - A repeated scalar field is a tensor of one dimension. With a field `repeated int64 NAME_shape` beside it, it has any
//!   shape.
//! - The fields of a message field `part` are tensors, too: `part.NAME`.
//! - A repeated message field `rows` is a table. Each field of its message is a column: a tensor `rows.NAME` with an
//!   element for each row, or a matrix if the field is repeated.
//!
//! Nothing else is a tensor.

use super::Datatype;
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

/// The end of the name of a field that holds the shape of another.
const SHAPE: &str = "_shape";
/// The most fields of a message and of those in it.
const MAX_FIELDS: usize = 1024;
/// The most levels of messages in messages.
const MAX_DEPTH: usize = 16;

/// The tensors of a message, and where each is in it.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The tensors, in the order of the fields.
    pub tensors: Vec<Tensor>,
    /// The message's fields.
    pub members: Vec<Member>,
}

/// A tensor of a message.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its name: that of the field, after those of the messages that it is in.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// Its dimensions.
    pub axes: Axes,
}

/// The dimensions of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// One element.
    One,
    /// One dimension.
    List,
    /// Any: another field has the shape.
    Any,
    /// One dimension: an element of each row.
    Column,
    /// Two dimensions: a list of each row.
    Matrix,
}

/// A field of a message with tensors.
#[derive(Debug, Clone)]
pub enum Member {
    /// It is a tensor.
    Tensor(Place),
    /// It is a tensor of any shape.
    Shaped {
        /// The tensor.
        place: Place,
        /// The field that has the shape.
        shape: FieldDescriptor,
    },
    /// It is a message.
    Message {
        /// The field.
        field: FieldDescriptor,
        /// The fields of the message.
        members: Vec<Member>,
    },
    /// It is a table.
    Rows {
        /// The field.
        field: FieldDescriptor,
        /// Its columns.
        columns: Vec<Place>,
    },
}

/// The place of a tensor in a message.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its index in [`Layout::tensors`].
    pub tensor: usize,
    /// Its field.
    pub field: FieldDescriptor,
}

/// Why a field is not a tensor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, miette::Diagnostic)]
pub enum Unfit {
    /// It is a map.
    #[error("field `{field}` cannot be a tensor: it is a map")]
    #[diagnostic(help("make it a repeated message with a field for the key and one for the value"))]
    Map {
        /// The full name of the field.
        field: String,
    },
    /// It is a group, as in old files.
    #[error("field `{field}` cannot be a tensor: it is a group")]
    #[diagnostic(help("make it a message"))]
    Group {
        /// The full name of the field.
        field: String,
    },
    /// It belongs to a `oneof`.
    #[error("field `{field}` cannot be a tensor: it belongs to the oneof `{oneof}`")]
    #[diagnostic(help("make the fields of the oneof `optional` instead"))]
    Oneof {
        /// The full name of the field.
        field: String,
        /// The name of the oneof.
        oneof: String,
    },
    /// A row contains a message.
    #[error("field `{field}` cannot be a tensor: it is a message in a repeated message")]
    #[diagnostic(help("rows have scalar fields and repeated scalar fields only"))]
    Nested {
        /// The full name of the field.
        field: String,
    },
    /// A field of a row may be absent.
    #[error("field `{field}` cannot be a tensor: it is `optional` in a repeated message")]
    #[diagnostic(help("remove `optional`: a column has an element for each row"))]
    Optional {
        /// The full name of the field.
        field: String,
    },
    /// A message contains itself, or messages are too many.
    #[error("field `{field}` cannot be a tensor: it is more than {MAX_DEPTH} messages deep")]
    #[diagnostic(help("use messages that do not contain one another"))]
    Deep {
        /// The full name of the field.
        field: String,
    },
    /// There are too many fields.
    #[error("message `{message}` has more than {MAX_FIELDS} fields, with those of its messages")]
    #[diagnostic(help("use repeated fields"))]
    Large {
        /// The full name of the message.
        message: String,
    },
}

impl Layout {
    /// The tensors of a message; all fields that cannot be tensors if there are any.
    pub fn of(message: &MessageDescriptor) -> Result<Self, Vec<Unfit>> {
        let mut builder = Builder { tensors: Vec::new(), unfit: Vec::new(), left: MAX_FIELDS };
        let members = builder.members(message, "", MAX_DEPTH);
        match members {
            _ if !builder.unfit.is_empty() => Err(builder.unfit),
            Some(members) => Ok(Self { tensors: builder.tensors, members }),
            None => Err(vec![Unfit::Large { message: message.full_name().to_owned() }]),
        }
    }

    /// The index of the tensor with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.tensors.iter().position(|tensor| tensor.name == name)
    }
}

impl Tensor {
    /// Its shape as metadata say it: `-1` for a dimension of any size.
    pub fn shape(&self) -> &'static [i64] {
        match self.axes {
            Axes::One => &[1],
            Axes::List | Axes::Any | Axes::Column => &[-1],
            Axes::Matrix => &[-1, -1],
        }
    }
}

struct Builder {
    tensors: Vec<Tensor>,
    unfit: Vec<Unfit>,
    /// How many more fields there may be.
    left: usize,
}

impl Builder {
    /// The fields of a message, whose tensors have this start of a name. `None` if there are too many.
    fn members(&mut self, message: &MessageDescriptor, start: &str, depth: usize) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        for field in message.fields().filter(|field| !is_shape(field, message)) {
            members.extend(self.member(field, message, start, depth)?);
        }
        Some(members)
    }

    /// A field, unless it is reported.
    fn member(
        &mut self,
        field: FieldDescriptor,
        message: &MessageDescriptor,
        start: &str,
        depth: usize,
    ) -> Option<Option<Member>> {
        self.left = self.left.checked_sub(1)?;
        if let Some(unfit) = unfit(&field) {
            self.unfit.push(unfit);
            return Some(None);
        }
        let Kind::Message(inner) = field.kind() else {
            let shape = shape_of(&field, message);
            let axes = match (field.is_list(), &shape) {
                (false, _) => Axes::One,
                (true, None) => Axes::List,
                (true, Some(_)) => Axes::Any,
            };
            let place = self.tensor(field, start, axes);
            return Some(Some(match shape {
                Some(shape) => Member::Shaped { place, shape },
                None => Member::Tensor(place),
            }));
        };
        let Some(depth) = depth.checked_sub(1) else {
            self.unfit.push(Unfit::Deep { field: field.full_name().to_owned() });
            // What is this deep may be endless.
            self.left = 0;
            return Some(None);
        };
        let start = format!("{start}{}.", field.name());
        Some(Some(if field.is_list() {
            let columns = self.columns(&inner, &start)?;
            Member::Rows { field, columns }
        } else {
            let members = self.members(&inner, &start, depth)?;
            Member::Message { field, members }
        }))
    }

    fn columns(&mut self, row: &MessageDescriptor, start: &str) -> Option<Vec<Place>> {
        let mut columns = Vec::new();
        for field in row.fields() {
            self.left = self.left.checked_sub(1)?;
            if let Some(unfit) = unfit(&field).or_else(|| unfit_in_row(&field)) {
                self.unfit.push(unfit);
                continue;
            }
            let axes = if field.is_list() { Axes::Matrix } else { Axes::Column };
            columns.push(self.tensor(field, start, axes));
        }
        Some(columns)
    }

    fn tensor(&mut self, field: FieldDescriptor, start: &str, axes: Axes) -> Place {
        let datatype =
            Datatype::of(&field.kind()).expect("fields that are messages are members of another kind");
        self.tensors.push(Tensor { name: format!("{start}{}", field.name()), datatype, axes });
        Place { tensor: self.tensors.len() - 1, field }
    }
}

fn unfit(field: &FieldDescriptor) -> Option<Unfit> {
    let name = || field.full_name().to_owned();
    match field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
        _ if field.is_map() => Some(Unfit::Map { field: name() }),
        _ if field.is_group() => Some(Unfit::Group { field: name() }),
        Some(oneof) => Some(Unfit::Oneof { field: name(), oneof: oneof.name().to_owned() }),
        None => None,
    }
}

fn unfit_in_row(field: &FieldDescriptor) -> Option<Unfit> {
    let name = || field.full_name().to_owned();
    match field.kind() {
        Kind::Message(_) => Some(Unfit::Nested { field: name() }),
        _ if field.supports_presence() && field.cardinality() != Cardinality::Required => {
            Some(Unfit::Optional { field: name() })
        }
        _ => None,
    }
}

/// The field that has the shape of another one.
fn shape_of(field: &FieldDescriptor, message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let shape = message.get_field_by_name(&format!("{}{SHAPE}", field.name()))?;
    is_shape(&shape, message).then_some(shape)
}

/// Whether a field has the shape of another one.
fn is_shape(field: &FieldDescriptor, message: &MessageDescriptor) -> bool {
    let is_list = |field: &FieldDescriptor| field.is_list() && Datatype::of(&field.kind()).is_some();
    let other = field.name().strip_suffix(SHAPE).and_then(|name| message.get_field_by_name(name));
    field.kind() == Kind::Int64 && field.is_list() && other.is_some_and(|other| is_list(&other))
}

#[cfg(test)]
mod tests;
