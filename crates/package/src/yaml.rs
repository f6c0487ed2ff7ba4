//! YAML text into a small tree in which every value knows its place.
//!
//! The text may be hostile: its size, its depth and what its aliases expand to are bounded, and
//! nothing recurses deeper than [`MAX_DEPTH`]. It does not guess types: a scalar is its text, and
//! whoever wants a number or a boolean parses that.

mod tree;

use crate::problem::{Problem, Source};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};
use std::ops::Range;
use tree::Tree;

/// The largest text that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
/// How deep lists and mappings may nest, counting what aliases stand for.
const MAX_DEPTH: usize = 32;
/// How many values a document may hold, counting what aliases stand for.
const MAX_VALUES: usize = 20_000;

/// A value and its place, in bytes of the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Range<usize>,
}

/// What stands in a document.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A text, a number, a boolean: unquoted, as it is written.
    Plain(String),
    /// A text in quotes, or a block of text.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text; its keys differ.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Value {
    /// What kind of value this is, to say it in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Plain(_) | Self::Quoted(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of a text, and what is wrong with it. Without a document there is at
/// least one error.
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

/// The value of a scalar.
fn scalar(text: String, style: ScalarStyle) -> Value {
    match (style, text.as_str()) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        (ScalarStyle::Plain, _) => Value::Plain(text),
        _ => Value::Quoted(text),
    }
}

/// Whether an event is about content.
fn is_content(event: &Event<'_>) -> bool {
    !matches!(event, Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd)
}

#[cfg(test)]
mod tests;
