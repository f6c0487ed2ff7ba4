//! Renders a report for a terminal: message and place, the line with a mark below it, and a hint.

use crate::problem::{Problem, Report};
use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use krt_model::{escape, severity::Severity};
use std::path::{Path, PathBuf};

/// The longest line shown, in bytes. Fitting a longer one takes too long.
const MAX_LINE: usize = 4096;

/// The style of a rendered report.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether to use colours.
    pub colour: bool,
    /// The width of a line, in characters.
    pub width: usize,
    /// The prefix of file names: the package's root, from the user's working directory.
    pub base: PathBuf,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, width: 100, base: PathBuf::new() }
    }
}

impl Report {
    /// Renders the report for a terminal, without a trailing newline.
    pub fn render(&self, style: &Style) -> String {
        let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(style.width);
        let problems = self.problems().iter();
        problems.map(|problem| self.show(problem, &renderer, style)).collect::<Vec<_>>().join("\n\n")
    }

    fn show(&self, problem: &Problem, renderer: &Renderer, style: &Style) -> String {
        let path = escape::line(&style.base.join(&problem.file).display().to_string()).into_owned();
        let title = level(problem.severity).primary_title(safe(&problem.message));
        let mut group = title.element(self.place(problem, path));
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.with_name("hint").message(safe(hint)));
        }
        renderer.render(&[group])
    }

    /// The line of a problem, or only the file's name without a line.
    fn place(&self, problem: &Problem, path: String) -> Element<'_> {
        match (self.text(&problem.file), &problem.location) {
            (Some(text), Some(location))
                if location.span.end <= text.len() && line(text, location.span.start).len() <= MAX_LINE =>
            {
                let mark = AnnotationKind::Primary.span(first_line(text, location.span.clone()));
                Snippet::source(text).path(path).annotation(mark).into()
            }
            (_, Some(location)) => Origin::path(path).line(location.line).char_column(location.column).into(),
            (_, None) => Origin::path(path).into(),
        }
    }

    fn text(&self, file: &Path) -> Option<&str> {
        self.source(file).map(crate::problem::Source::text)
    }
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// The line at an offset.
fn line(text: &str, place: usize) -> &str {
    let place = text.floor_char_boundary(place);
    let start = text[..place].rfind('\n').map_or(0, |end| end + 1);
    let end = text[place..].find('\n').map_or(text.len(), |end| place + end);
    &text[start..end]
}

/// Limits a mark to its first line: marks of many lines hide the text.
fn first_line(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let line = text[span.clone()].find(['\n', '\r']).unwrap_or(span.len());
    span.start..span.start + line
}

/// Escapes control characters in texts of the author's files, which a terminal would obey.
fn safe(text: &str) -> String {
    escape::lines(text).into_owned()
}

#[cfg(test)]
mod tests;
