//! Converts the compiler's errors to problems.

use super::files;
use crate::problem::{Problem, Report, Source};
use crate::root::Root;
use krt_model::severity::Severity;
use miette::Diagnostic;
use protox::Error;

/// All problems that the compiler found. `asked` is the compiled file.
pub(super) fn problems(error: &Error, root: &Root, asked: &str) -> Vec<Problem> {
    let file = error.file().unwrap_or(asked);
    let source = files::source(root, file);
    let related = error.related().into_iter().flatten();
    let all = std::iter::once(error as &dyn Diagnostic).chain(related);
    all.take(Report::MAX_PROBLEMS).map(|one| problem(one, file, source.as_ref())).collect()
}

/// Makes it a warning for a file that the entrypoint does not need.
pub(super) fn set_aside(mut problem: Problem, asked: &str) -> Problem {
    problem.severity = Severity::Warning;
    problem.message = format!("{} (nodes will not know the types of `{asked}`)", problem.message);
    problem
}

fn problem(error: &dyn Diagnostic, file: &str, source: Option<&Source>) -> Problem {
    let mut message = quote(&error.to_string());
    let hint = error.help().map(|help| quote(&help.to_string()));
    // Of several places, the last is the one to change: "defined here, and again here".
    let label = error.labels().and_then(Iterator::last);
    let problem = match (label, source) {
        (Some(label), Some(source)) => {
            let span = label.offset()..label.offset() + label.len();
            if let Some(import) = bad_import(&message, source.text().get(span.clone())) {
                message = format!("`{import}` is not a path below the package's root");
            }
            source.error(&span, message)
        }
        _ => Problem::error(file, message),
    };
    problem.maybe_hint(hint)
}

/// The path of an invalid import, which the parser calls an "invalid group name".
fn bad_import<'a>(message: &str, text: Option<&'a str>) -> Option<&'a str> {
    let text = text.filter(|_| message == "invalid group name")?;
    let path = text.trim_matches(['"', '\'']);
    (path.len() < text.len()).then_some(path)
}

/// Replaces the compiler's apostrophes around names by backticks.
fn quote(message: &str) -> String {
    message.replace('\'', "`")
}
