//! Finds the sources of nodes' executables.
//!
//! A node's `src` always names its executable. It is built if the node's `build` names the folder of a
//! `package main` in Go or of a `Cargo.toml`, or if there is such a folder in one of the usual places:
//! `src/NAME` for an executable `bin/NAME`, `src/NODE` for a node, the executable's own folder. The nearest
//! `go.mod` upward applies; of `Cargo.toml`s, the outermost may define a workspace.

use crate::manifest::{Located, NodeEntry};
use crate::path;
use crate::problem::{Problem, Report, Source};
use crate::root::{self, Root};
use krt_model::version::{Build, Language};
use std::path::Path;

/// Finds the sources of a node, if it has any; reports named ones that do not fit.
pub(crate) fn find(node: &NodeEntry, root: &Root, source: &Source, report: &mut Report) -> Option<Build> {
    let src = node.src.as_ref()?;
    let problem = match (&node.build, language_of(&src.value)) {
        (Some(build), _) => match named(build, src, root, source) {
            Ok(found) => {
                if root::is_absolute(&build.value) {
                    report.push(path::rooted(build, &found.folder, source));
                }
                return Some(found);
            }
            Err(problem) => problem,
        },
        (None, Some(language)) => of_source(src, language, source),
        (None, None) => return usual(src, node.label.as_ref(), root),
    };
    report.push(*problem);
    None
}

/// The language of a source file.
fn language_of(src: &str) -> Option<Language> {
    match Path::new(src).extension()?.to_str()? {
        "go" => Some(Language::Go),
        "rs" => Some(Language::Rust),
        _ => None,
    }
}

/// The sources that a node names.
fn named(
    build: &Located<String>,
    src: &Located<String>,
    root: &Root,
    source: &Source,
) -> Result<Build, Box<Problem>> {
    if src.value.ends_with(".py") {
        let message = "`build` is for nodes in Go and Rust, but `src` is a Python file";
        let problem = source.error(&build.span, message);
        return Err(Box::new(problem.hint("remove it, or name the executable in `src`")));
    }
    let folder = root.find_folder(&build.value).map_err(|error| path::missing(source, build, &error))?;
    let Some(language) = language_in(root, &folder) else {
        let message = format!("`{folder}` has neither Go source nor a `Cargo.toml`");
        let hint = "name the folder of the node's `package main`, or of its `Cargo.toml`";
        return Err(Box::new(source.error(&build.span, message).hint(hint)));
    };
    let module = module(language, root, &folder).ok_or_else(|| {
        let message = format!("`{folder}` has no `go.mod`, and no folder above it in the package has one");
        source.error(&build.span, message).hint(format!("`go mod init` in `{folder}` makes one"))
    })?;
    Ok(Build { language, folder, module })
}

fn of_source(src: &Located<String>, language: Language, source: &Source) -> Box<Problem> {
    let file = Path::new(src.value.trim_start_matches('/'));
    let mut folder = file.parent().unwrap_or(Path::new("."));
    if language == Language::Rust && folder.ends_with("src") {
        folder = folder.parent().filter(|parent| parent.components().next().is_some()).unwrap_or(folder);
    }
    let name = folder.file_name().unwrap_or(file.as_os_str()).display();
    let message = format!("`{}` is {} source: `src` names the executable", src.value, language.as_str());
    let hint = format!("write `src: bin/{name}` and `build: {}`", folder.display());
    Box::new(source.error(&src.span, message).hint(hint))
}

/// The sources in the usual places.
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
        let language = language_in(root, &folder)?;
        let module = module(language, root, &folder)?;
        Some(Build { language, folder, module })
    })
}

/// The language of the sources in a folder.
fn language_in(root: &Root, folder: &str) -> Option<Language> {
    if has_manifest(root, folder, Language::Rust) {
        return Some(Language::Rust);
    }
    let entries = root.path().join(folder).read_dir().into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.any(|name| name.ends_with(".go")).then_some(Language::Go)
}

/// The folder of the manifest that applies, from this folder up to the root.
fn module(language: Language, root: &Root, folder: &str) -> Option<String> {
    let folders = Path::new(folder).ancestors().filter_map(Path::to_str);
    let mut modules = folders.filter(|folder| has_manifest(root, folder, language));
    match language {
        Language::Go => modules.next(),
        Language::Rust => modules.last(),
    }
    .map(str::to_owned)
}

fn has_manifest(root: &Root, folder: &str, language: Language) -> bool {
    root.path().join(folder).join(language.manifest()).is_file()
}
