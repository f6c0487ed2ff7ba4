//! `krt check`: everything that is wrong with a package, at once.

use crate::{build, exit, output, service, terminal};
use clap::Args;
use krt_package::{Checked, Loader, Report, Target};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What `krt check` takes.
#[derive(Debug, Args)]
#[command(after_help = "The exit code is 1 if there are errors; warnings alone leave it 0.")]
pub(crate) struct CheckArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Check for a cluster, where the entrypoint and each node need an `image`
    #[arg(long)]
    cluster: bool,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Prints what was found.
pub(crate) fn execute(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut checked = loader(args.cluster).check(&args.path)?;
    build(&mut checked)?;
    output::print(&if args.json { as_json(&checked)? } else { as_text(&checked, &args.path) })?;
    Ok(if checked.report.has_errors() { exit::FAILURE } else { exit::SUCCESS })
}

/// Builds what the package has in Go and Rust; what the compiler says against it joins the report.
fn build(checked: &mut Checked) -> anyhow::Result<()> {
    let Some(version) = &checked.version else { return Ok(()) };
    if let Err(error) =
        service::block_on(build::executables(version, &checked.root, |_| true, terminal::print_warning))
    {
        for problem in build::problems(error, &checked.root)? {
            checked.report.push(problem);
        }
        checked.version = None;
    }
    Ok(())
}

/// What loads packages that are to run here, or on a cluster.
pub(super) fn loader(cluster: bool) -> Loader {
    let target = if cluster { Target::Cluster } else { Target::Local };
    Loader { target, ..Loader::default() }
}

fn as_json(checked: &Checked) -> anyhow::Result<String> {
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

/// "2 errors, 1 warning"
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
