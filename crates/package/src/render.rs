//! Shows a report to a person: what and where, the line itself with a mark below it, and a hint.

use crate::problem::{Problem, Report, Severity};
use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use std::path::{Path, PathBuf};

/// How a report is shown.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether to use the terminal's colours.
    pub colour: bool,
    /// How many characters fit in a line.
    pub width: usize,
    /// Put before the files' names: the way to the package's root from where the reader stands.
    pub base: PathBuf,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, width: 100, base: PathBuf::new() }
    }
}

impl Report {
    /// The report as text for a terminal, without a last line break.
    pub fn render(&self, style: &Style) -> String {
        let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(style.width);
        let problems = self.problems().iter();
        problems.map(|problem| self.show(problem, &renderer, style)).collect::<Vec<_>>().join("\n\n")
    }

    fn show(&self, problem: &Problem, renderer: &Renderer, style: &Style) -> String {
        let path = style.base.join(&problem.file).display().to_string();
        let title = level(problem.severity).primary_title(safe(&problem.message));
        let mut group = title.element(self.place(problem, path));
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.with_name("hint").message(safe(hint)));
        }
        renderer.render(&[group])
    }

    /// The line in question, or only the file's name where there is no line.
    fn place(&self, problem: &Problem, path: String) -> Element<'_> {
        match (self.text(&problem.file), &problem.location) {
            (Some(text), Some(location)) if location.span.end <= text.len() => {
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
    }
}

/// Marks of many lines hide what they mark: the first line is enough.
fn first_line(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let line = text[span.clone()].find(['\n', '\r']).unwrap_or(span.len());
    span.start..span.start + line
}

/// Texts of the author's files may hold control characters, which a terminal would obey.
fn safe(text: &str) -> String {
    annotate_snippets::normalize_untrusted_str(text)
}

#[cfg(test)]
mod tests;
