//! `krt check`: reports every problem of a package at once.

use crate::{
    build,
    error::Result,
    exit, output, pythons,
    service::{self, launch},
    terminal,
};
use clap::Args;
use krt_environment::{Inherited, PythonChoice};
use krt_package::{Checked, Loader, Report, Target};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Builds nodes in Go and Rust. For nodes in Python, reports undeclared imports, pins without a wheel
for the node's Python, and handlers that use a message as a dict without `payload: json`. Creates
a node's environment only to find out whether a declared package provides an import.

The exit code is 1 if there are errors, and 0 if there are only warnings.")]
pub(crate) struct CheckArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Also require what a cluster needs: an `image` for the entrypoint and each node
    #[arg(long)]
    cluster: bool,

    /// The Python for nodes: a path, a command, or a version such as 3.12
    #[arg(long, value_name = "PYTHON", env = "KRT_PYTHON")]
    python: Option<PythonChoice>,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the problems.
pub(crate) fn execute(args: &CheckArgs) -> Result<ExitCode> {
    let mut checked = krt_reader::check(&loader(args.cluster), &args.path)?;
    examine(&mut checked, args.python.as_ref())?;
    build(&mut checked)?;
    match args.json {
        true => output::print_json(&as_json(&checked)?)?,
        false => output::print_coloured(&as_text(&checked, &args.path))?,
    }
    Ok(if checked.report.has_errors() { exit::FAILURE } else { exit::SUCCESS })
}

/// Checks the package's Python nodes, and adds the problems to the report.
fn examine(checked: &mut Checked, python: Option<&PythonChoice>) -> Result<()> {
    let Some(version) = &checked.version else { return Ok(()) };
    let files = launch::files(checked.is_unpacked());
    let problems = service::block_on(pythons::problems(version, &checked.root, python, files))?;
    problems.into_iter().for_each(|problem| checked.report.push(problem));
    if checked.report.has_errors() {
        checked.version = None;
    }
    Ok(())
}

/// Builds the package's Go and Rust nodes, and adds the compilers' errors to the report.
fn build(checked: &mut Checked) -> Result<()> {
    let Some(version) = &checked.version else { return Ok(()) };
    if let Err(error) = service::block_on(build::executables(
        version,
        &checked.root,
        Inherited::Shell,
        |_| true,
        terminal::print_warning,
    )) {
        for problem in build::problems(error, &checked.root)? {
            checked.report.push(problem);
        }
        checked.version = None;
    }
    Ok(())
}

/// A loader for packages that run here, or on a cluster.
pub(super) fn loader(cluster: bool) -> Loader {
    let target = if cluster { Target::Cluster } else { Target::Local };
    Loader { target, ..Loader::default() }
}

fn as_json(checked: &Checked) -> Result<String> {
    let report = serde_json::to_value(&checked.report)?;
    let name = checked.version.as_ref().map(|version| version.name.as_str());
    let mut object = json!({ "version": name });
    if let (Some(object), serde_json::Value::Object(report)) = (object.as_object_mut(), report) {
        object.extend(report);
    }
    Ok(serde_json::to_string_pretty(&object)?)
}

fn as_text(checked: &Checked, path: &Path) -> String {
    let report = checked.report.render(&terminal::style(path, output::colour()));
    let gap = if report.is_empty() { "" } else { "\n\n" };
    let name = checked.version.as_ref().map(|version| format!("{}: ", version.name)).unwrap_or_default();
    format!("{report}{gap}{name}{}", summary(&checked.report))
}

/// Formats "2 errors, 1 warning".
fn summary(report: &Report) -> String {
    let counts = [counted(report.errors(), "error"), counted(report.warnings(), "warning")];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    if counts.is_empty() { "no problems".to_owned() } else { counts.join(", ") }
}

fn counted(number: usize, noun: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        more => Some(format!("{more} {noun}s")),
    }
}
