//! Builds the nodes of a package that are compiled.

use crate::{
    cache,
    error::{Error, Result},
    terminal,
};
use krt_environment::{
    BuildError, Diagnostic, Executable, ExecutableSource, Executables, GroupGuard, Inherited, ProcessEnv,
};
use krt_model::version::{Node, Version};
use krt_package::{Problem, problem::Location};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// Returns the executables of some nodes, by node name. Builds each one that is missing; passes `warn` the
/// nodes that cannot be built and run as they are.
pub(crate) async fn executables(
    version: &Version,
    root: &Path,
    origin: Inherited,
    which: impl Fn(&Node) -> bool,
    warn: impl Fn(&str),
) -> Result<BTreeMap<String, PathBuf>> {
    let sources = sources(version, root, which);
    if sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let executables = Executables::new(cache::folder()?)
        .with_process_env(ProcessEnv::of_process().for_installers(origin))
        .with_guard(GroupGuard::of_this_program())
        .prepare(&sources, &show)
        .await?;
    Ok(by_name(sources, &executables, warn))
}

/// Returns the sources of some nodes that are built.
pub(crate) fn sources(
    version: &Version,
    root: &Path,
    which: impl Fn(&Node) -> bool,
) -> Vec<ExecutableSource> {
    version.nodes.iter().filter(|node| which(node)).filter_map(|node| source(node, root)).collect()
}

/// Returns the path of each executable by its node's name; passes `warn` the nodes that cannot be built and run
/// as they are.
pub(crate) fn by_name(
    sources: Vec<ExecutableSource>,
    executables: &[Executable],
    warn: impl Fn(&str),
) -> BTreeMap<String, PathBuf> {
    for (source, executable) in sources.iter().zip(executables) {
        if let Executable::Prebuilt(path) = executable {
            warn(&format!(
                "found no `{}`: node `{}` runs `{}` as it is, whatever its sources say",
                source.builder(),
                source.name,
                path.display()
            ));
        }
    }
    let paths = executables.iter().map(|executable| executable.path().to_owned());
    sources.into_iter().map(|source| source.name).zip(paths).collect()
}

/// Returns the sources of a node, if it is built.
pub(crate) fn source(node: &Node, root: &Path) -> Option<ExecutableSource> {
    let build = node.build.as_ref()?;
    Some(ExecutableSource {
        name: node.name.to_string(),
        language: node.language?,
        folder: root.join(&build.folder),
        root: root.to_owned(),
        module: root.join(&build.module),
        executable: root.join(&node.src),
    })
}

/// Returns the compiler's errors in a package's sources, each with its location; fails with all other errors.
pub(crate) fn problems(error: Error, root: &Path) -> Result<Vec<Problem>> {
    let error = error.downcast::<BuildError>()?;
    let diagnostics = error.diagnostics();
    match error {
        BuildError::Build { node, folder, output, hint, .. } => {
            let folder = folder.strip_prefix(root).unwrap_or(&folder);
            let mut found: Vec<_> = diagnostics.iter().map(|of| problem(of, folder, root)).collect();
            if found.is_empty() {
                let message = format!("node `{node}` does not build: {}", output.join("\n"));
                found.push(Problem::error(folder, message));
            }
            Ok(found.into_iter().map(|problem| problem.maybe_hint(hint.clone())).collect())
        }
        BuildError::Module { file, line, message, hint, .. } => {
            let file = file.strip_prefix(root).unwrap_or(&file);
            let at = Location { line, column: 1, span: 0..0 };
            Ok(vec![Problem::error(file, message).at(at).hint(hint)])
        }
        error => Err(error.into()),
    }
}

/// A compiler's error. Its file is relative to the folder, or to a workspace above it.
fn problem(of: &Diagnostic, folder: &Path, root: &Path) -> Problem {
    let mut files = folder.ancestors().map(|folder| folder.join(&of.file));
    let known = files.find(|file| root.join(file).is_file());
    let file = known.unwrap_or_else(|| folder.join(&of.file));
    let at = Location { line: of.line, column: of.column, span: 0..0 };
    Problem::error(shorten(&file), &of.message).at(at)
}

/// Resolves the `..` components of a path.
fn shorten(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut short, part| {
        match part {
            Component::ParentDir => drop(short.pop()),
            Component::CurDir => {}
            part => short.push(part),
        }
        short
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_named_in_compiler_errors() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("src/shared")).unwrap();
        std::fs::write(root.path().join("src/shared/lib.rs"), "").unwrap();
        for (file, expected) in [
            ("./main.go", "src/etl/main.go"),
            ("../shared/a.go", "src/shared/a.go"),
            ("shared/lib.rs", "src/shared/lib.rs"),
        ] {
            let of = Diagnostic { file: file.into(), line: 1, column: 2, message: "x: y".to_owned() };
            let found = problem(&of, Path::new("src/etl"), root.path());
            assert_eq!((found.file.to_str(), &*found.message), (Some(expected), "x: y"));
        }
    }
}
