//! Problems in an author's files, with place and hint.

use krt_model::{hint, severity::Severity};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The range of bytes in the file; may be empty.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// A problem in an author's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, relative to the package's root.
    pub file: PathBuf,
    /// The place in the file, if there is one.
    #[serde(flatten)]
    pub location: Option<Location>,
    /// The message: a lowercase fragment.
    pub message: String,
    /// The hint.
    pub hint: Option<String>,
}

impl Problem {
    /// An error about a whole file.
    pub fn error(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, file.into(), message.into())
    }

    /// A warning about a whole file.
    pub fn warning(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file.into(), message.into())
    }

    fn new(severity: Severity, file: PathBuf, message: String) -> Self {
        Self { severity, file, location: None, message, hint: None }
    }

    /// Sets the place in the file.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the hint, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    fn order(&self) -> (&Path, Option<(usize, usize)>, Severity) {
        let place = self.location.as_ref().map(|location| (location.line, location.column));
        (&self.file, place, self.severity)
    }
}

/// One line: `krt.yml:4:11: message; hint: hint`.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Location { line, column, .. }) = self.location {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", hint::on_one_line(&*self.message, self.hint.as_slice()))
    }
}

/// A file's text, indexed by line.
#[derive(Debug, Clone)]
pub struct Source {
    file: PathBuf,
    text: Arc<str>,
    /// The start of each line, in bytes.
    lines: Arc<[usize]>,
    /// Whether the text is ASCII, which makes columns fast: lines may be long, with many lookups.
    is_ascii: bool,
}

impl Source {
    /// The text of a file; `file` is relative to the package's root.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(place, _)| place + 1)).collect();
        Self { file: file.into(), is_ascii: text.is_ascii(), text, lines }
    }

    /// The file, relative to the package's root.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// An error at a place in the file.
    pub fn error(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        Problem::error(&self.file, message).at(self.location(span))
    }

    /// A warning at a place in the file.
    pub fn warning(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        Problem::warning(&self.file, message).at(self.location(span))
    }

    /// A note at a place in the file.
    pub fn note(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Note, self.file.clone(), message.into()).at(self.location(span))
    }

    /// The line and column of a range of bytes, clamped to the text.
    pub fn location(&self, span: &Range<usize>) -> Location {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        let line = self.lines.partition_point(|&line_start| line_start <= start);
        let before = &self.text[self.lines[line - 1]..start];
        let column = if self.is_ascii { before.len() } else { before.chars().count() } + 1;
        Location { line, column, span: start..end }
    }

    /// The offset of a line and a byte in it, both from 0.
    pub(crate) fn offset(&self, line: usize, column: usize) -> Option<usize> {
        self.lines.get(line).map(|start| start + column)
    }

    /// The line of a range, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.location(span).line
    }
}

/// All problems, ordered by file and line.
#[derive(Debug, Clone, Default)]
pub struct Report {
    problems: Vec<Problem>,
    sources: BTreeMap<PathBuf, Source>,
}

impl Report {
    /// The most problems that a report keeps.
    pub const MAX_PROBLEMS: usize = 200;
    /// The longest message or hint, in bytes, without the mark of a cut.
    const MAX_TEXT: usize = 1000;

    /// Adds a problem. Beyond [`Report::MAX_PROBLEMS`], adds it only if it is the first error.
    pub fn push(&mut self, mut problem: Problem) {
        shorten(&mut problem.message);
        problem.hint.iter_mut().for_each(shorten);
        let first_error = problem.severity == Severity::Error && !self.has_errors();
        if !self.is_full() || first_error {
            let place = self.problems.partition_point(|other| other.order() <= problem.order());
            self.problems.insert(place, problem);
        }
    }

    /// Adds the text of a file, for [`render`](crate::render).
    pub fn add_source(&mut self, source: Source) {
        self.sources.insert(source.file.clone(), source);
    }

    /// Adds the problems of another report.
    pub fn extend(&mut self, other: Self) {
        self.sources.extend(other.sources);
        for problem in other.problems {
            self.push(problem);
        }
    }

    /// The problems, by file and line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the report is full.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= Self::MAX_PROBLEMS
    }

    pub(crate) fn source(&self, file: &Path) -> Option<&Source> {
        self.sources.get(file)
    }

    /// The kept texts of files.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }
}

/// Cuts the middle out of a text that may quote the author at any length: the message itself is at its ends.
fn shorten(text: &mut String) {
    if text.len() > Report::MAX_TEXT {
        let start = text.floor_char_boundary(Report::MAX_TEXT / 2);
        let end = text.ceil_char_boundary(text.len() - Report::MAX_TEXT / 2);
        text.replace_range(start..end, " … ");
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 3)?;
        report.serialize_field("errors", &self.errors())?;
        report.serialize_field("warnings", &self.warnings())?;
        report.serialize_field("problems", &self.problems)?;
        report.end()
    }
}

#[cfg(test)]
mod tests;
