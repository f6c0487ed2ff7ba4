//! Go: builds with copies of the user's `go.mod` and `go.sum` that replace the modules of KRT v1 by those of
//! the embedded SDK. Writes nothing to the package.
//!
//! The other modules of a workspace (`go.work`) and those in `vendor` are replaced by their folders.

mod directive;
mod explain;
mod modules;
mod overlay;
mod replaced;
mod vendor;
mod workspace;

use super::{
    Build, BuildError, Command, cannot_keep,
    diagnostic::Diagnostic,
    toolchain::{CodeFiles, Tests, Toolchain},
};
use crate::sdk;
use krt_model::language::Language;
use modules::Modules;
use overlay::Overlay;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The arguments of every build. They keep this machine's paths out of the executable.
const BUILD: [&str; 4] = ["build", "-mod=mod", "-trimpath", "-buildvcs=false"];

/// `go vet` would look for the SDK where only the compiler sees it.
const VET_OFF: &str = "-vet=off";

pub(super) const TOOLCHAIN: Toolchain = Toolchain {
    language: Language::GO,
    builder: "go",
    needed: "Go 1.20 or newer (https://go.dev/dl)",
    sdk: &sdk::GO,
    form: "go 3",
    decides,
    makes_several: false,
    beside: replacements,
    around: modules::beside,
    lock: None,
    hidden: &[],
    code: CodeFiles { endings: &["go", "mod", "sum"], names: &["go.work", "go.work.sum", "modules.txt"] },
    make: |build, work_folder, sdk| Box::pin(make(build, work_folder, sdk)),
    tests: |build, work_folder, sdk| Box::pin(tests(build, work_folder, sdk)),
    diagnostics,
};

/// Builds the executable, in the work folder.
async fn make(build: &Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<PathBuf, BuildError> {
    let overlay = overlay(build, work_folder, sdk).await?;
    let made = work_folder.path().join("executable");
    let mut arguments: Vec<OsString> = BUILD.iter().map(OsString::from).collect();
    arguments.extend(overlay.flags());
    arguments.extend(["-o".into(), made.clone().into(), ".".into()]);
    build.call(command(arguments, work_folder)).await.map_err(|error| explained(build, error))?;
    Ok(made)
}

/// The tests of the folder and those below it.
async fn tests(build: &Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<Tests, BuildError> {
    let overlay = overlay(build, work_folder, sdk).await?;
    let mut arguments: Vec<OsString> = vec!["test".into(), "-mod=mod".into(), VET_OFF.into()];
    arguments.extend(overlay.flags());
    arguments.push("./...".into());
    Ok(Tests { command: command(arguments, work_folder), lock: None })
}

async fn overlay(build: &Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<Overlay, BuildError> {
    let flags = build.process_env.get("GOFLAGS").unwrap_or_default().to_string_lossy();
    let modules = Modules::of(build.node, &flags)?;
    let overlay = Overlay::write(work_folder, &build.node.module, modules, sdk)
        .map_err(|source| cannot_keep(work_folder.path(), source))?;
    build.call(command(overlay.edit(), work_folder)).await.map_err(|error| explained(build, error))?;
    Ok(overlay)
}

/// Rewrites messages of `go` to refer to the user's own files instead of the build's.
fn explained(build: &Build<'_>, error: BuildError) -> BuildError {
    match error {
        BuildError::Build { node, language, folder, status, output, .. } => {
            let (output, hint) = explain::explain(build.node, output);
            BuildError::Build { node, language, folder, status, output, hint }
        }
        error => error,
    }
}

/// The user's own settings of `go` apply, except for a workspace: one outside of the package does not belong
/// to it, and the package's own is merged into the build's `go.mod`.
fn command(arguments: Vec<OsString>, work_folder: &TempDir) -> Command<'static> {
    let variables = vec![("GOWORK", "off".into()), ("GOTMPDIR", work_folder.path().into())];
    Command { arguments, variables, results: None, lock: None }
}

fn decides(name: &[u8]) -> bool {
    name.starts_with(b"GO") || name.starts_with(b"CGO_") || matches!(name, b"CC" | b"CXX" | b"PKG_CONFIG")
}

/// The lines of the compiler's output that are `FILE:LINE:COLUMN: MESSAGE`.
fn diagnostics(output: &[String]) -> Vec<Diagnostic> {
    let diagnostic = |line: &String| {
        let message = line.splitn(4, ':').nth(3)?.trim();
        let found = Diagnostic::at(line, message)?;
        let file = found.file.to_str()?;
        (file.ends_with(".go") || file.ends_with("go.mod")).then_some(found)
    };
    output.iter().filter_map(diagnostic).collect()
}

/// The folders that replace modules in a `go.mod`.
fn replacements(text: &str) -> Vec<PathBuf> {
    let replaces = directive::replaces(&directive::directives(text));
    replaces.iter().filter_map(|replace| replace.folder(Path::new(""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_diagnostics() {
        for (line, expected) in [
            ("./main.go:12:3: undefined: nothing", Some(("./main.go", 12, 3, "undefined: nothing"))),
            ("../shared/a.go:1:2: x: y", Some(("../shared/a.go", 1, 2, "x: y"))),
            ("# etl", None),
            ("main.go:12: no column", None),
            ("go: module example.com/x: not found", None),
        ] {
            let found = diagnostics(&[line.to_owned()]);
            let brief = found.iter().map(|of| (of.file.to_str().unwrap(), of.line, of.column, &*of.message));
            assert_eq!(brief.collect::<Vec<_>>(), Vec::from_iter(expected), "{line}");
        }
    }

    #[test]
    fn only_folder_replacements_are_read() {
        let text = "replace a => ./a\nreplace (\n\tb v1.2.3 => ../b\n\tc => example.com/c v1.0.0\n)\n// replace d => ./d\n";
        assert_eq!(replacements(text), ["./a", "../b"].map(PathBuf::from));
    }
}
