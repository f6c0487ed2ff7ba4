//! What is wrong with an author's files: where, and what to do about it.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The package cannot be run.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The bytes of the file that are meant; may be empty.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, relative to the package's root.
    pub file: PathBuf,
    /// Where in the file, if it is about a place in it.
    #[serde(flatten)]
    pub location: Option<Location>,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What to do about it.
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

    /// Says where in the file.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do, if there is something to say.
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

/// On one line: `krt.yml:4:11: what is wrong; hint: what to do`.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Location { line, column, .. }) = self.location {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; hint: {hint}"))
    }
}

/// A file's text, to find lines and columns in.
#[derive(Debug, Clone)]
pub struct Source {
    file: PathBuf,
    text: Arc<str>,
    /// Where each line starts, in bytes.
    lines: Arc<[usize]>,
}

impl Source {
    /// The text of a file; `file` is relative to the package's root.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(place, _)| place + 1)).collect();
        Self { file: file.into(), text, lines }
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

    /// The line and column of a range of bytes, which is brought inside the text if it is not.
    pub fn location(&self, span: &Range<usize>) -> Location {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        let line = self.lines.partition_point(|&line_start| line_start <= start);
        let column = self.text[self.lines[line - 1]..start].chars().count() + 1;
        Location { line, column, span: start..end }
    }

    /// The byte of a line and a byte in it, both from 0.
    pub(crate) fn offset(&self, line: usize, column: usize) -> Option<usize> {
        self.lines.get(line).map(|start| start + column)
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.location(span).line
    }
}

/// Everything that was found, ordered by file and line.
#[derive(Debug, Clone, Default)]
pub struct Report {
    problems: Vec<Problem>,
    sources: BTreeMap<PathBuf, Source>,
}

impl Report {
    /// How many problems a report keeps of a file that is wrong all over.
    pub const MAX_PROBLEMS: usize = 200;

    /// Adds a problem. Past [`Report::MAX_PROBLEMS`] only errors are kept, and only the first of them.
    pub fn push(&mut self, problem: Problem) {
        let first_error = problem.severity == Severity::Error && !self.has_errors();
        if !self.is_full() || first_error {
            let place = self.problems.partition_point(|other| other.order() <= problem.order());
            self.problems.insert(place, problem);
        }
    }

    /// Keeps the text of a file, for [`render`](crate::render).
    pub fn keep(&mut self, source: Source) {
        self.sources.insert(source.file.clone(), source);
    }

    /// Adds what another report found.
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

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether more problems would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= Self::MAX_PROBLEMS
    }

    pub(crate) fn source(&self, file: &Path) -> Option<&Source> {
        self.sources.get(file)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
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
