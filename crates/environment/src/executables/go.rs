//! Go: builds with copies of the user's `go.mod` and `go.sum`, in which the modules that KRT v1 knows are
//! replaced by those of the embedded SDK. Nothing is written to the package.

mod overlay;

use super::{Build, BuildError, Command, cannot_keep, toolchain::Toolchain};
use crate::sdk;
use overlay::Overlay;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
};
use tempfile::TempDir;

/// What every build is given. The paths of this machine are kept out of what is built.
const BUILD: [&str; 4] = ["build", "-mod=mod", "-trimpath", "-buildvcs=false"];

/// `go vet` would look for the SDK where only the compiler sees it.
const VET_OFF: &str = "-vet=off";

pub(super) const TOOLCHAIN: Toolchain =
    Toolchain { sdk: &sdk::GO, form: "go 2", decides, beside: replacements, lock: None, hidden: &[] };

/// Builds the executable, in the workshop.
pub(super) async fn make(build: &Build<'_>, workshop: &TempDir, sdk: &Path) -> Result<PathBuf, BuildError> {
    let overlay = overlay(build, workshop, sdk).await?;
    let made = workshop.path().join("executable");
    let mut arguments: Vec<OsString> = BUILD.iter().map(OsString::from).collect();
    arguments.extend(overlay.flags());
    arguments.extend(["-o".into(), made.clone().into(), ".".into()]);
    build.call(command(arguments, workshop)).await?;
    Ok(made)
}

/// Runs the tests of the folder and those below it.
pub(super) async fn test(
    build: &Build<'_>,
    workshop: &TempDir,
    sdk: &Path,
) -> Result<ExitStatus, BuildError> {
    let overlay = overlay(build, workshop, sdk).await?;
    let mut arguments: Vec<OsString> = vec!["test".into(), "-mod=mod".into(), VET_OFF.into()];
    arguments.extend(overlay.flags());
    arguments.push("./...".into());
    build.show(command(arguments, workshop)).await
}

async fn overlay(build: &Build<'_>, workshop: &TempDir, sdk: &Path) -> Result<Overlay, BuildError> {
    let overlay = Overlay::write(workshop, &build.node.module, sdk)
        .map_err(|source| cannot_keep(workshop.path(), source))?;
    build.call(command(overlay.edit(), workshop)).await?;
    Ok(overlay)
}

/// The user's own settings of `go` hold, but for a workspace: the package must build without one.
fn command(arguments: Vec<OsString>, workshop: &TempDir) -> Command<'static> {
    let variables = vec![("GOWORK", "off".into()), ("GOTMPDIR", workshop.path().into())];
    Command { arguments, variables, results: None, lock: None }
}

fn decides(name: &[u8]) -> bool {
    name.starts_with(b"GO") || name.starts_with(b"CGO_") || matches!(name, b"CC" | b"CXX" | b"PKG_CONFIG")
}

/// The folders that a `go.mod` names in the place of modules.
fn replacements(text: &str) -> Vec<PathBuf> {
    let statements = text.lines().filter_map(|line| line.split("//").next());
    let targets = statements.filter_map(|line| line.split_once("=>")?.1.split_whitespace().next());
    targets
        .filter(|target| target.starts_with("./") || target.starts_with("../"))
        .map(PathBuf::from)
        .collect()
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
