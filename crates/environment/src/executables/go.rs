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

use super::{Build, BuildError, Command, cannot_keep, toolchain::Toolchain};
use crate::sdk;
use modules::Modules;
use overlay::Overlay;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};
use tempfile::TempDir;
use tokio::process;

/// The arguments of every build. They keep this machine's paths out of the executable.
const BUILD: [&str; 4] = ["build", "-mod=mod", "-trimpath", "-buildvcs=false"];

/// `go vet` would look for the SDK where only the compiler sees it.
const VET_OFF: &str = "-vet=off";

pub(super) const TOOLCHAIN: Toolchain = Toolchain {
    sdk: &sdk::GO,
    form: "go 3",
    decides,
    beside: replacements,
    around: modules::beside,
    lock: None,
    hidden: &[],
};

/// Builds the executable, in the workshop.
pub(super) async fn make(build: &Build<'_>, workshop: &TempDir, sdk: &Path) -> Result<PathBuf, BuildError> {
    let overlay = overlay(build, workshop, sdk).await?;
    let made = workshop.path().join("executable");
    let mut arguments: Vec<OsString> = BUILD.iter().map(OsString::from).collect();
    arguments.extend(overlay.flags());
    arguments.extend(["-o".into(), made.clone().into(), ".".into()]);
    build.call(command(arguments, workshop)).await.map_err(|error| explained(build, error))?;
    Ok(made)
}

/// Runs the tests of the folder and those below it.
pub(super) async fn test(
    build: &Build<'_>,
    workshop: &TempDir,
    sdk: &Path,
    run: impl AsyncFnOnce(process::Command) -> io::Result<ExitStatus>,
) -> Result<ExitStatus, BuildError> {
    let overlay = overlay(build, workshop, sdk).await?;
    let mut arguments: Vec<OsString> = vec!["test".into(), "-mod=mod".into(), VET_OFF.into()];
    arguments.extend(overlay.flags());
    arguments.push("./...".into());
    build.show(command(arguments, workshop), run).await
}

async fn overlay(build: &Build<'_>, workshop: &TempDir, sdk: &Path) -> Result<Overlay, BuildError> {
    let flags = build.process_env.get("GOFLAGS").unwrap_or_default().to_string_lossy();
    let modules = Modules::of(build.node, &flags)?;
    let overlay = Overlay::write(workshop, &build.node.module, modules, sdk)
        .map_err(|source| cannot_keep(workshop.path(), source))?;
    build.call(command(overlay.edit(), workshop)).await.map_err(|error| explained(build, error))?;
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
fn command(arguments: Vec<OsString>, workshop: &TempDir) -> Command<'static> {
    let variables = vec![("GOWORK", "off".into()), ("GOTMPDIR", workshop.path().into())];
    Command { arguments, variables, results: None, lock: None }
}

fn decides(name: &[u8]) -> bool {
    name.starts_with(b"GO") || name.starts_with(b"CGO_") || matches!(name, b"CC" | b"CXX" | b"PKG_CONFIG")
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
    fn only_folders_are_replacements_to_read() {
        let text = "replace a => ./a\nreplace (\n\tb v1.2.3 => ../b\n\tc => example.com/c v1.0.0\n)\n// replace d => ./d\n";
        assert_eq!(replacements(text), ["./a", "../b"].map(PathBuf::from));
    }
}
