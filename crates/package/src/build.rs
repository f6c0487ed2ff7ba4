//! Finds the Go sources that nodes' executables are built from.
//!
//! A node's `src` always names its executable. It is built where the node's `build` names the folder
//! of a `package main`, or where such a folder lies at one of the usual places: `src/NAME` for an
//! executable `bin/NAME`, `src/NODE` for a node, the executable's own folder. The nearest `go.mod`
//! upward is the one that counts.

use crate::check::missing;
use crate::manifest::{Located, NodeEntry};
use crate::problem::{Problem, Report, Source};
use crate::root::Root;
use krt_model::version::Build;
use std::path::Path;

/// The file that makes a module of a folder.
const MODULE: &str = "go.mod";

/// Finds the sources of a node, if it has any; reports those that are named and cannot be.
pub(crate) fn find(node: &NodeEntry, root: &Root, source: &Source, report: &mut Report) -> Option<Build> {
    let src = node.src.as_ref()?;
    let problem = match &node.build {
        Some(build) => match named(build, src, root, source) {
            Ok(found) => return Some(found),
            Err(problem) => problem,
        },
        None if src.value.ends_with(".go") => of_source(src, source),
        None => return usual(src, node.label.as_ref(), root),
    };
    report.push(*problem);
    None
}

/// The sources that a node names.
fn named(
    build: &Located<String>,
    src: &Located<String>,
    root: &Root,
    source: &Source,
) -> Result<Build, Box<Problem>> {
    if src.value.ends_with(".py") {
        let problem = source.error(&build.span, "`build` is for nodes in Go, but `src` is a Python file");
        return Err(Box::new(problem.hint("remove it, or name the executable in `src`")));
    }
    let folder = root.find_folder(&build.value).map_err(|error| missing(source, build, &error))?;
    if !has_sources(root, &folder) {
        let message = format!("`{folder}` has no Go source");
        return Err(Box::new(
            source.error(&build.span, message).hint("name the folder of the node's `package main`"),
        ));
    }
    let module = module(root, &folder).ok_or_else(|| {
        let message = format!("`{folder}` has no `{MODULE}`, and no folder above it in the package has one");
        source.error(&build.span, message).hint(format!("`go mod init` in `{folder}` makes one"))
    })?;
    Ok(Build { folder, module })
}

fn of_source(src: &Located<String>, source: &Source) -> Box<Problem> {
    let file = Path::new(&src.value);
    let folder = file.parent().unwrap_or(Path::new("."));
    let name = folder.file_name().unwrap_or(file.as_os_str()).display();
    let message = format!("`{}` is Go source: `src` names the executable", src.value);
    let hint = format!("write `src: bin/{name}` and `build: {}`", folder.display());
    Box::new(source.error(&src.span, message).hint(hint))
}

/// The sources at the usual places.
fn usual(src: &Located<String>, node: Option<&Located<String>>, root: &Root) -> Option<Build> {
    let path = Path::new(&src.value);
    if path.extension().is_some_and(|ending| ending == "py") {
        return None;
    }
    let of_executable = path.file_name().and_then(|name| name.to_str()).map(|name| format!("src/{name}"));
    let of_node = node.map(|label| format!("src/{}", label.value));
    let own = path.parent().and_then(Path::to_str).filter(|folder| !folder.is_empty()).map(str::to_owned);
    let places = [of_executable, of_node, own].into_iter().flatten();
    places.filter_map(|place| root.find_folder(&place).ok()).find_map(|folder| {
        let module = has_sources(root, &folder).then(|| module(root, &folder))??;
        Some(Build { folder, module })
    })
}

fn has_sources(root: &Root, folder: &str) -> bool {
    let entries = root.path().join(folder).read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| name.ends_with(".go"))
}

/// The folder of the nearest `go.mod`, upward to the root and never past it.
fn module(root: &Root, folder: &str) -> Option<String> {
    let mut folders = Path::new(folder).ancestors().filter_map(Path::to_str);
    folders.find(|folder| root.path().join(folder).join(MODULE).is_file()).map(str::to_owned)
}
