//! Why a request is not an inference, and why an answer has no tensors.

use crate::{
    json::{Fault, LocatedFault, fault::PathFault},
    memory::{Full, Refused},
};
use krt_package::open_inference::{Axes, Datatype};

/// The most dimensions of a tensor.
pub(super) const MAX_RANK: usize = 16;

/// The reason.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The JSON is not an inference request.
    #[error("the request's JSON is not an inference request{}: {source}", DisplayPath(.at))]
    Json {
        /// The field, such as `inputs[0].shape`.
        at: String,
        /// The error.
        source: LocatedFault,
    },
    /// The bytes are not an inference request.
    #[error("the request's message is not an inference.ModelInferRequest: {0}")]
    Message(Fault),
    /// The header that says where binary data begin says something else.
    #[error("the header `Inference-Header-Content-Length` must be the size of the JSON, at most {size}")]
    Header {
        /// The size of the body.
        size: usize,
    },
    /// Binary data that belong to no input.
    #[error("{size} bytes of binary data belong to no input")]
    #[diagnostic(help("the parameter `binary_data_size` of an input says how many bytes it has"))]
    Rest {
        /// How many bytes.
        size: usize,
    },
    /// Raw contents that belong to no input, or are missing.
    #[error("there are {found} `raw_input_contents` for {inputs} inputs")]
    RawContents {
        /// How many there are.
        found: usize,
        /// How many inputs there are.
        inputs: usize,
    },
    /// The id is too long.
    #[error("the request's `id` has more than {limit} bytes")]
    Id {
        /// The limit.
        limit: usize,
    },
    /// No tensor has the name.
    #[error("the model has no {what} `{name}`")]
    #[diagnostic(help("{}", known_names(what, known)))]
    Unknown {
        /// Input or output.
        what: &'static str,
        /// The name.
        name: String,
        /// The names of the model's tensors.
        known: Vec<String>,
    },
    /// A tensor is there twice.
    #[error("the {what} `{name}` is there twice")]
    Twice {
        /// Input or output.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// What is asked of an output does not exist here.
    #[error("output `{name}`: `{parameter}` is not supported")]
    Parameter {
        /// The name.
        name: String,
        /// The parameter.
        parameter: &'static str,
    },
    /// An input is wrong.
    #[error("input `{name}`: {fault}")]
    Input {
        /// The name.
        name: String,
        /// The error.
        #[diagnostic_source]
        fault: TensorFault,
    },
    /// The columns of a table have different numbers of rows.
    #[error("the inputs of `{table}` have different numbers of rows: {one} and {other}")]
    Rows {
        /// The field of the table.
        table: String,
        /// The rows of one column.
        one: usize,
        /// The rows of another.
        other: usize,
    },
    /// It needs more than its limits.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A field of the workflow's answer has no tensor.
    #[error("`{name}` of the answer cannot be a tensor: {fault}")]
    Output {
        /// The name.
        name: String,
        /// The error.
        fault: TensorFault,
    },
    /// The answer of the workflow is not its message.
    #[error("the answer is not a message of its type")]
    Answer,
}

/// Why a tensor is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum TensorFault {
    /// It has no datatype.
    #[error("it has no `datatype`")]
    NoDatatype,
    /// The datatype does not exist.
    #[error("there is no datatype `{datatype}`")]
    UnknownDatatype {
        /// The datatype.
        datatype: String,
    },
    /// The field has another datatype.
    #[error("it is {found}, but must be {expected}")]
    Datatype {
        /// The datatype.
        found: Datatype,
        /// That of the field.
        expected: Datatype,
    },
    /// The shape has too many sizes, negative ones, or a product beyond all memory.
    #[error("{} is not a shape: at most {MAX_RANK} sizes from 0, whose product is below 2^63", Shape(.shape))]
    NotShape {
        /// The start of the shape.
        shape: Vec<i64>,
    },
    /// The field has no such shape.
    #[error("it has the shape {}, but must have {}", Shape(.shape), words(*axes))]
    #[diagnostic(help("{}", remedy(*axes)))]
    Shape {
        /// The shape.
        shape: Vec<i64>,
        /// What the field has.
        axes: Axes,
    },
    /// It has more or fewer elements than its shape.
    #[error("it has {found} elements, but its shape has {expected}")]
    Count {
        /// The elements.
        found: ElementCount,
        /// Those of the shape.
        expected: usize,
    },
    /// It has more or fewer bytes than its shape needs.
    #[error("it has {found} bytes of data, but its shape and datatype need {expected}")]
    Size {
        /// The bytes.
        found: usize,
        /// Those of the shape.
        expected: usize,
    },
    /// The lengths of its elements do not fit its bytes.
    #[error(
        "the lengths of its elements do not match its data: each element of BYTES follows its length in four bytes"
    )]
    Lengths,
    /// More binary data are announced than there are.
    #[error("its `binary_data_size` is {announced}, but the body has {there} bytes left")]
    #[diagnostic(help("the header `Inference-Header-Content-Length` says where binary data begin"))]
    Short {
        /// What is announced.
        announced: usize,
        /// What is there.
        there: usize,
    },
    /// It has no data.
    #[error("it has no data")]
    NoData,
    /// It has data in two forms.
    #[error("it has its data twice")]
    TwiceData,
    /// Its data is in shared memory.
    #[error("shared memory is not supported")]
    SharedMemory,
    /// Its data is in the wrong field of protobuf.
    #[error("its data is not in `{field}`, the field for {datatype}")]
    Contents {
        /// The right field.
        field: &'static str,
        /// The datatype.
        datatype: Datatype,
    },
    /// Its data can only be raw.
    #[error("{datatype} has no field in `contents`: send it in `raw_input_contents`")]
    OnlyRaw {
        /// The datatype.
        datatype: Datatype,
    },
    /// Its data can only be binary.
    #[error("{datatype} cannot be sent as JSON: send binary data")]
    OnlyBinary {
        /// The datatype.
        datatype: Datatype,
    },
    /// A number out of the range of the datatype.
    #[error("{number} does not fit in {datatype}")]
    Range {
        /// The number.
        number: i64,
        /// The datatype.
        datatype: Datatype,
    },
    /// A text is not one.
    #[error("an element is not UTF-8, and its field is a `string`")]
    NotText,
    /// A text is not Base64.
    #[error("an element is not Base64, as its `content_type` says")]
    NotBase64,
    /// The enum has no such value.
    #[error("{kind} has no value `{value}`")]
    UnknownEnum {
        /// The full name of the enum.
        kind: String,
        /// The value.
        value: String,
    },
    /// The rows of a matrix have different lengths.
    #[error("its rows have different lengths")]
    Ragged,
    /// Its field of a shape has another number of elements.
    #[error("its shape {} does not have its {count} elements", Shape(.shape))]
    OtherShape {
        /// The shape.
        shape: Vec<i64>,
        /// The elements.
        count: usize,
    },
    /// It needs more than its limits.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bytes are not a message.
    #[error("its bytes are not protobuf")]
    Malformed,
}

/// A number of elements; counting ends beyond the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementCount {
    /// So many.
    Exactly(usize),
    /// More than those of the shape.
    More,
}

impl std::fmt::Display for ElementCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(count) => count.fmt(f),
            Self::More => f.write_str("more"),
        }
    }
}

impl From<Full> for Error {
    fn from(full: Full) -> Self {
        Self::Refused(full.into())
    }
}

impl From<Full> for TensorFault {
    fn from(full: Full) -> Self {
        Self::Refused(full.into())
    }
}

/// Of writing: only limits fail there.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refused) => Self::Refused(refused),
            _ => Self::Answer,
        }
    }
}

/// Of writing: only limits fail there.
impl From<Fault> for TensorFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refused) => Self::Refused(refused),
            _ => Self::Malformed,
        }
    }
}

impl TensorFault {
    /// The error of an input.
    pub(super) fn of_input(self, name: &str) -> Error {
        match self {
            Self::Refused(refused) => Error::Refused(refused),
            fault => Error::Input { name: name.to_owned(), fault },
        }
    }

    /// The error of an output.
    pub(super) fn of_output(self, name: &str) -> Error {
        match self {
            Self::Refused(refused) => Error::Refused(refused),
            fault => Error::Output { name: name.to_owned(), fault },
        }
    }
}

impl Error {
    /// The error of a text, at a place in it.
    pub(super) fn of_json(error: PathFault, (line, column): (usize, usize)) -> Self {
        let at = error.at();
        match error.fault {
            Fault::Refused(refused) => Self::Refused(refused),
            fault => Self::Json { at, source: LocatedFault { fault, line, column } },
        }
    }

    /// The error of a message of gRPC.
    pub(super) fn of_message(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refused) => Self::Refused(refused),
            fault => Self::Message(fault),
        }
    }
}

/// A shape, as JSON has it.
struct Shape<'a>(&'a [i64]);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (index, size) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{size}")?;
        }
        f.write_str("]")
    }
}

/// The place of an error; empty for the whole text.
struct DisplayPath<'a>(&'a str);

impl std::fmt::Display for DisplayPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            at => write!(f, ": `{at}`"),
        }
    }
}

fn known_names(what: &str, known: &[String]) -> String {
    /// The most names that an error lists.
    const MAX_SHOWN: usize = 20;
    if known.is_empty() {
        return format!("it has no {what}s");
    }
    let names: Vec<String> = known.iter().take(MAX_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if known.len() > MAX_SHOWN { ", …" } else { "" };
    format!("its {what}s are {}{more}", names.join(", "))
}

fn words(axes: Axes) -> &'static str {
    match axes {
        Axes::One => "one element",
        Axes::List => "one dimension; dimensions of size 1 do not count",
        Axes::Any => "any",
        Axes::Column => "one dimension, the rows; dimensions of size 1 after it do not count",
        Axes::Matrix => "two or more dimensions, first the rows",
    }
}

fn remedy(axes: Axes) -> &'static str {
    match axes {
        Axes::List => "a field `repeated int64 NAME_shape` beside it in the message would hold any shape",
        _ => "`/v2/models/NAME` describes the tensors",
    }
}
