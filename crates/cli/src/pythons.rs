//! The checks of Python nodes in `krt check`: imports, requirements, handlers.

use crate::{cache, error::Result, service::launch, terminal};
use krt_environment::{
    DictUse, Environments, Files, Finding, GroupGuard, NodeSource, PythonChoice, dict_use,
};
use krt_model::{
    hint,
    severity::Severity,
    version::{Node, PayloadForm, Runner, Version},
};
use krt_package::{Problem, problem::Location};
use std::path::{Path, PathBuf};

/// Returns the problems of a package's Python nodes; prints notes.
pub(crate) async fn problems(
    version: &Version,
    root: &Path,
    choice: Option<&PythonChoice>,
    files: Files,
) -> Result<Vec<Problem>> {
    let is_here = |node: &&Node| launch::is_python(node) && node.run.runner != Runner::External;
    let nodes: Vec<&Node> = version.nodes.iter().filter(is_here).collect();
    let mut problems: Vec<Problem> = nodes.iter().filter_map(|node| takes_a_dict(node, root)).collect();
    if nodes.is_empty() {
        return Ok(problems);
    }
    let source = |node: &&Node| NodeSource { name: node.name.to_string(), src: PathBuf::from(&node.src) };
    let sources: Vec<NodeSource> = nodes.iter().map(source).collect();
    let environments = Environments::new(cache::folder()?, choice.cloned()).with_files(files);
    let environments = environments.with_guard(GroupGuard::of_this_program());
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    match environments.examine(&sources, root, &show).await {
        Ok(findings) => problems.extend(findings.into_iter().filter_map(problem)),
        Err(error) => problems.push(of_error(&error, &nodes, root)),
    }
    Ok(problems)
}

/// Reports a handler that expects a dict although its node receives protobuf.
fn takes_a_dict(node: &Node, root: &Path) -> Option<Problem> {
    if node.run.payload == PayloadForm::Json {
        return None;
    }
    let DictUse { location, code, looks_first } = dict_use(root, Path::new(&node.src))?;
    let message = format!(
        "the handler of node `{}` takes its message for a dict (`{code}`), and gets a `google.protobuf.Any`",
        node.name
    );
    let problem = match looks_first {
        true => Problem::warning(&node.src, message),
        false => Problem::error(&node.src, message),
    };
    let hint = format!("add the line `payload: json` to node `{}` in krt.yml", node.name);
    Some(problem.at(to_location(location)).hint(hint))
}

/// Converts a finding to a problem; prints a note.
fn problem(finding: Finding) -> Option<Problem> {
    let Finding { severity, file, location, message, hint, .. } = finding;
    let hint = Some(hint).filter(|hint| !hint.is_empty());
    let problem = match severity {
        Severity::Error => Problem::error(file, message),
        Severity::Warning => Problem::warning(file, message),
        Severity::Note => {
            let place = location.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
            let message = format!("{}{place}: {message}", file.display());
            terminal::print_note(&hint::on_lines(message, hint.as_slice()));
            return None;
        }
    };
    let problem = problem.maybe_hint(hint);
    Some(match location {
        Some(location) => problem.at(to_location(location)),
        None => problem,
    })
}

/// Converts an error that prevents the check of all nodes: a file that cannot be parsed.
fn of_error(error: &krt_environment::Error, nodes: &[&Node], root: &Path) -> Problem {
    let relative = |text: String| text.replace(&format!("{}/", root.display()), "");
    let message = relative(hint::messages(error));
    let hint = Some(relative(hint::hints(error).join("; "))).filter(|hint| !hint.is_empty());
    let file = message.split('`').nth(1).filter(|file| root.join(file).is_file());
    let file = file.map_or_else(|| PathBuf::from(&nodes[0].src), PathBuf::from);
    Problem::error(file, message).maybe_hint(hint)
}

fn to_location(location: krt_environment::Location) -> Location {
    Location { line: location.line, column: location.column, span: 0..0 }
}
