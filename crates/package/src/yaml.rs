//! Parses YAML to a small tree in which every value has its place.
//!
//! The text is untrusted: its size, depth and alias expansion are bounded, and nothing recurses deeper than
//! [`MAX_DEPTH`]. Types are not guessed: a scalar is its text, and callers parse numbers and booleans.

mod tree;

use crate::problem::{Problem, Source};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};
use std::ops::Range;
use tree::Tree;

/// The largest text, in bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
/// The deepest nesting of lists and mappings, with aliases expanded.
const MAX_DEPTH: usize = 32;
/// The most values of a document, with aliases expanded.
const MAX_VALUES: usize = 20_000;

/// A value with its place, in bytes of the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Range<usize>,
}

/// The content of a node.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// `null`, `~`, or empty.
    Null,
    /// An unquoted scalar, as written: text, number or boolean.
    Plain(String),
    /// A quoted or block scalar.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text; its keys are unique.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Value {
    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Plain(_) | Self::Quoted(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Parses the single document of a text, with its problems; without a document there is at least one error.
pub(crate) fn parse(source: &Source) -> (Option<Node>, Vec<Problem>) {
    if source.text().len() > MAX_BYTES {
        let message = format!("the file is larger than {} KiB", MAX_BYTES / 1024);
        return (None, vec![Problem::error(source.file(), message)]);
    }
    let mut tree = Tree::new(source);
    match read(source, &mut tree) {
        Ok(()) => tree.finish(),
        Err(problem) => (None, vec![*problem]),
    }
}

fn read(source: &Source, tree: &mut Tree<'_>) -> Result<(), Box<Problem>> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    for event in Parser::new_from_str_with_options(source.text(), options) {
        let (event, span) = event.map_err(|error| syntax(source, &error))?;
        tree.take(event, span.byte_range().unwrap_or_default())?;
    }
    Ok(())
}

fn syntax(source: &Source, error: &ScanError) -> Box<Problem> {
    let place = error.marker().byte_offset().unwrap_or(source.text().len());
    let (message, hint) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => (too_deep(), None),
        ErrorKind::TabInIndentation | ErrorKind::TabInBlockIndentation | ErrorKind::TabAtBlockScalarStart => {
            ("a tab is not indentation in YAML".to_owned(), Some("use spaces"))
        }
        ErrorKind::UnknownAnchor => {
            let message = "an alias (`*name`) names no anchor (`&name`) above it".to_owned();
            (message, Some("put a text that begins with `*` in quotes"))
        }
        kind => {
            let tab = matches!(kind, ErrorKind::TabInPlainScalar | ErrorKind::TabNotAllowed);
            (format!("this is not YAML: {}", error.info()), tab.then_some("use spaces instead of tabs"))
        }
    };
    Box::new(source.error(&(place..place), message).maybe_hint(hint.map(str::to_owned)))
}

fn too_deep() -> String {
    format!("lists and mappings nest deeper than {MAX_DEPTH}")
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    match (style, text.as_str()) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        (ScalarStyle::Plain, _) => Value::Plain(text),
        _ => Value::Quoted(text),
    }
}

/// Whether an event carries content.
fn is_content(event: &Event<'_>) -> bool {
    !matches!(event, Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd)
}

#[cfg(test)]
mod tests;
