//! Builds the tree from the parser's events, without recursion and with a budget.

use super::{Entry, MAX_DEPTH, MAX_VALUES, Node, Value, is_content, scalar, too_deep};
use crate::problem::{Problem, Source};
use granit_parser::Event;
use std::collections::HashMap;
use std::ops::Range;

type Refusal = Box<Problem>;

/// A list or mapping that is still open.
struct OpenCollection {
    anchor: usize,
    span: Range<usize>,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

/// The target of an alias.
struct Anchor {
    node: Node,
    values: usize,
    depth: usize,
}

/// A document under construction.
pub(super) struct Tree<'a> {
    source: &'a Source,
    open: Vec<OpenCollection>,
    root: Option<Node>,
    ended: bool,
    anchored: HashMap<usize, Anchor>,
    values: usize,
    problems: Vec<Problem>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            open: Vec::new(),
            root: None,
            ended: false,
            anchored: HashMap::new(),
            values: 0,
            problems: Vec::new(),
        }
    }

    /// The document, if there is one.
    pub(super) fn finish(mut self) -> (Option<Node>, Vec<Problem>) {
        if self.root.is_none() && self.problems.is_empty() {
            self.problems.push(Problem::error(self.source.file(), "the file is empty"));
        }
        (self.root, self.problems)
    }

    /// Takes the parser's next event.
    pub(super) fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Refusal> {
        if is_content(&event) {
            self.charge(1, &span)?;
        }
        match event {
            Event::DocumentStart(..) if self.ended => return Err(self.second_document(&span)),
            Event::DocumentEnd => self.ended = true,
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { value: scalar(text.into_owned(), style), span };
                self.close(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.start(Content::List(Vec::new()), anchor, span)?,
            Event::MappingStart(_, anchor, _) => self.start(Content::Map(Vec::new(), None), anchor, span)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => self.alias(anchor, &span)?,
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, content: Content, anchor: usize, span: Range<usize>) -> Result<(), Refusal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.refuse(&span, too_deep()));
        }
        let span = span.start..span.start;
        self.open.push(OpenCollection { anchor, span, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(OpenCollection { anchor, span, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map(pairs, _) => Value::Map(self.map(pairs)),
        };
        self.close(Node { value, span }, anchor)
    }

    /// Puts a complete value in its place.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Refusal> {
        if anchor != 0 {
            let (values, depth) = measure(&node);
            self.charge(values, &node.span)?;
            self.anchored.insert(anchor, Anchor { node: node.clone(), values, depth });
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(pairs, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Range<usize>) -> Result<(), Refusal> {
        let Some(anchored) = self.anchored.get(&anchor) else {
            return Err(self.refuse(span, "an alias refers to itself"));
        };
        if self.open.len() + anchored.depth > MAX_DEPTH {
            return Err(self.refuse(span, too_deep()));
        }
        self.charge(self.anchored[&anchor].values, span)?;
        self.close(self.anchored[&anchor].node.clone(), 0)
    }

    /// The entries of a mapping, including those that `<<` merges.
    fn map(&mut self, pairs: Vec<(Node, Node)>) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(pairs.len());
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        let mut merged = Vec::new();
        for (key, value) in pairs {
            let key_span = key.span;
            match key.value {
                Value::Plain(text) if text == "<<" => merged.push((key_span, value)),
                Value::Plain(key) | Value::Quoted(key) => match seen.get(&key) {
                    Some(first) => self.duplicate(&key, first, &key_span),
                    None => {
                        seen.insert(key.clone(), key_span.clone());
                        entries.push(Entry { key, key_span, value });
                    }
                },
                other => {
                    let message = format!("a key must be text, not {}", other.kind());
                    self.problems.push(self.source.error(&key_span, message));
                }
            }
        }
        for (span, value) in merged {
            self.merge(value, &span, &mut seen, &mut entries);
        }
        entries
    }

    /// `<<: *defaults`, as most YAML readers interpret it: existing keys win.
    fn merge(
        &mut self,
        value: Node,
        span: &Range<usize>,
        seen: &mut HashMap<String, Range<usize>>,
        entries: &mut Vec<Entry>,
    ) {
        match value.value {
            Value::Map(others) => {
                for other in others {
                    if seen.insert(other.key.clone(), other.key_span.clone()).is_none() {
                        entries.push(other);
                    }
                }
            }
            Value::List(maps) if maps.iter().all(|map| matches!(map.value, Value::Map(_))) => {
                maps.into_iter().for_each(|map| self.merge(map, span, seen, entries));
            }
            other => {
                let message = format!("`<<` merges a mapping, not {}", other.kind());
                self.problems.push(self.source.error(span, message));
            }
        }
    }

    fn duplicate(&mut self, key: &str, first: &Range<usize>, again: &Range<usize>) {
        let problem = self.source.error(again, format!("`{key}` is a duplicate key"));
        let hint = format!("the first is on line {}", self.source.line(first));
        self.problems.push(problem.hint(hint));
    }

    fn charge(&mut self, values: usize, span: &Range<usize>) -> Result<(), Refusal> {
        self.values += values;
        if self.values > MAX_VALUES {
            return Err(self.refuse(span, format!("the file holds more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn second_document(&self, span: &Range<usize>) -> Refusal {
        let problem = self.source.error(span, "a second document begins here");
        Box::new(problem.hint("a package is one document: remove the `---` and what follows"))
    }

    fn refuse(&self, span: &Range<usize>, message: impl Into<String>) -> Refusal {
        Box::new(self.source.error(span, message))
    }
}

/// The number of values in a value, including itself, and its depth. Never deeper than [`MAX_DEPTH`].
fn measure(node: &Node) -> (usize, usize) {
    let fold = |children: &mut dyn Iterator<Item = &Node>| {
        children
            .map(measure)
            .fold((1, 1), |(values, depth), (more, deep)| (values + more, depth.max(deep + 1)))
    };
    match &node.value {
        Value::List(items) => fold(&mut items.iter()),
        Value::Map(entries) => fold(&mut entries.iter().map(|entry| &entry.value)),
        _ => (1, 0),
    }
}
