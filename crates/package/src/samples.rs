//! Samples of a node's input, for `warmup`: a file with a message as JSON in each line.

use crate::Schema;
use bytes::Bytes;
use krt_model::message::{Payload, TYPE_URL_PREFIX};
use krt_model::text::{self, NotText};
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;
/// The most samples.
pub const MAX_SAMPLES: usize = 1000;

/// A message for a node's handler.
#[derive(Debug)]
pub struct Sample {
    /// Its line, from 1.
    pub line: usize,
    /// The workflow that it would come from, an index into `Version::workflows`.
    pub workflow: usize,
    /// Whether the handler's answer is a stream.
    pub streams: bool,
    /// The message.
    pub input: SampleInput,
}

/// The message of a sample.
#[derive(Debug)]
pub enum SampleInput {
    /// A message of a `.proto`.
    Message(Payload),
    /// Plain data of another node.
    Plain(Bytes),
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// It is too large.
    #[error("it has more than {} MiB", MAX_BYTES >> 20)]
    #[diagnostic(help("a few samples are enough: a worker handles them all at each start"))]
    TooLarge,
    /// It is not text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// It has too many samples.
    #[error("it has more than {} samples", MAX_SAMPLES)]
    #[diagnostic(help("a few samples are enough: a worker handles them all at each start"))]
    TooMany,
    /// It has no sample.
    #[error("it has no samples")]
    #[diagnostic(help("write a message as JSON in each line"))]
    Empty,
}

/// Why a line is not a sample.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LineError {
    /// It is not JSON, or does not fit its type.
    #[error("{}", without_line(.0))]
    Json(serde_json::Error),
    /// It is JSON of another kind.
    #[error("a sample must be a JSON object")]
    NotObject,
    /// The package does not have the type.
    #[error("no `.proto` of the package has the message `{name}`")]
    UnknownType {
        /// The name.
        name: String,
    },
    /// The node gets messages of another node.
    #[error("the node is not the first of a workflow: its input has the type that another node returns")]
    #[diagnostic(help("name the type: `{{\"@type\": \"package.Message\", …}}`"))]
    OfAnotherNode,
    /// Several types are possible.
    #[error("the node gets messages of several types: `{one}` and `{other}`")]
    #[diagnostic(help("name the type: `{{\"@type\": \"{one}\", …}}`"))]
    Ambiguous {
        /// One type.
        one: String,
        /// Another one.
        other: String,
    },
}

/// What the samples of a node can be.
#[derive(Debug)]
pub struct Inputs<'a> {
    schema: &'a Schema,
    /// Whether its handler works with plain data.
    plain: bool,
    /// The workflows that begin with the node: index and type of the request.
    first: Vec<(usize, MessageDescriptor)>,
    /// The workflows that the node is in.
    members: Vec<usize>,
    /// Those whose answer is a stream of the node's messages.
    streams: Vec<usize>,
}

impl<'a> Inputs<'a> {
    /// The inputs of the node with an index. `sequences` are the nodes of each workflow.
    pub fn of(node: usize, plain: bool, sequences: &[&[usize]], schema: &'a Schema) -> Self {
        let method = |workflow| schema.methods.iter().find(|method| method.workflow == Some(workflow));
        let members: Vec<_> =
            (0..sequences.len()).filter(|&workflow| sequences[workflow].contains(&node)).collect();
        let first = members.iter().filter(|&&workflow| sequences[workflow].first() == Some(&node));
        let first = first.filter_map(|&workflow| Some((workflow, method(workflow)?.input.clone()))).collect();
        let streams = members.iter().copied().filter(|&workflow| {
            sequences[workflow].last() == Some(&node) && method(workflow).is_some_and(|method| method.streams)
        });
        Self { schema, plain, first, streams: streams.collect(), members }
    }

    /// Parses a line.
    pub fn parse(&self, line: usize, text: &str) -> Result<Sample, LineError> {
        let value: Value = serde_json::from_str(text).map_err(LineError::Json)?;
        let Value::Object(mut fields) = value else { return Err(LineError::NotObject) };
        let named = fields.remove("@type").map(|name| self.named(&name)).transpose()?;
        let (workflow, kind, content) = match named {
            Some((workflow, kind)) => {
                let content = content(&kind, fields);
                (workflow, kind, content)
            }
            None => match self.first()? {
                Some((workflow, kind)) => (workflow, kind, Value::Object(fields)),
                None => {
                    let input = SampleInput::Plain(Bytes::copy_from_slice(text.as_bytes()));
                    return Ok(self.sample(line, self.workflow(), input));
                }
            },
        };
        let message = DynamicMessage::deserialize(kind.clone(), content);
        let message = message.map_err(LineError::Json)?.encode_to_vec();
        let payload = Payload::pack(&format!("{TYPE_URL_PREFIX}{}", kind.full_name()), &message);
        Ok(self.sample(line, workflow, SampleInput::Message(payload)))
    }

    fn sample(&self, line: usize, workflow: usize, input: SampleInput) -> Sample {
        Sample { line, workflow, streams: self.streams.contains(&workflow), input }
    }

    /// The workflow of a message that no request begins with.
    fn workflow(&self) -> usize {
        self.members.first().copied().unwrap_or_default()
    }

    /// The type that a line names, and its workflow.
    fn named(&self, name: &Value) -> Result<(usize, MessageDescriptor), LineError> {
        let name = name.as_str().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or(name);
        let unknown = || LineError::UnknownType { name: name.to_owned() };
        let kind = self.schema.pool.get_message_by_name(name).ok_or_else(unknown)?;
        let first = self.first.iter().find(|(_, input)| *input == kind);
        Ok((first.map_or_else(|| self.workflow(), |(workflow, _)| *workflow), kind))
    }

    /// The type of the workflows that begin with the node; `None` for plain data of another node.
    fn first(&self) -> Result<Option<(usize, MessageDescriptor)>, LineError> {
        let Some((workflow, kind)) = self.first.first() else {
            return if self.plain { Ok(None) } else { Err(LineError::OfAnotherNode) };
        };
        match self.first.iter().find(|(_, other)| other != kind) {
            Some((_, other)) => Err(LineError::Ambiguous {
                one: kind.full_name().to_owned(),
                other: other.full_name().to_owned(),
            }),
            None => Ok(Some((*workflow, kind.clone()))),
        }
    }
}

/// The text of an error, without its line: a sample is one line.
fn without_line(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    match text.strip_suffix(&place) {
        Some(text) => format!("{text} at column {}", error.column()),
        None => text,
    }
}

/// The JSON of a message. Beside `@type`, Google's messages with a form of their own have it in `value`.
fn content(kind: &MessageDescriptor, mut fields: Map<String, Value>) -> Value {
    match kind.package_name() == "google.protobuf" && fields.len() == 1 {
        true => fields.remove("value").unwrap_or(Value::Object(fields)),
        false => Value::Object(fields),
    }
}

/// Reads a file as text.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(FileError::Read)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    let text = text::decode_json(&bytes)?;
    match lines(&text).take(MAX_SAMPLES + 1).count() {
        0 => Err(FileError::Empty),
        count if count > MAX_SAMPLES => Err(FileError::TooMany),
        _ => Ok(text),
    }
}

/// The lines with a sample, with their numbers.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty())
}

/// Loads all samples of a file. Fails with the first line that is not one.
pub fn load(path: &Path, inputs: &Inputs<'_>) -> Result<Vec<Sample>, LoadError> {
    let text = read(path)?;
    let parse = |(line, text)| inputs.parse(line, text).map_err(|source| LoadError::Line { line, source });
    lines(&text).map(parse).collect()
}

/// Why samples cannot be loaded.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LoadError {
    /// The file cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
    /// A line is not a sample.
    #[error("line {line} is not a sample")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The cause.
        #[source]
        #[diagnostic_source]
        source: LineError,
    },
}
