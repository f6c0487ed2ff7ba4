//! Builds the nodes of a package that are in Go.

use crate::{cache, terminal};
use krt_environment::{Executable, Executables, GoError, GoSource};
use krt_model::version::{Node, Version};
use krt_package::{Problem, problem::Location};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// The executables, by their nodes' names. Each is built unless it was before; `warn` is told of
/// those that cannot be built and run as they are.
pub(crate) async fn executables(
    version: &Version,
    root: &Path,
    warn: impl Fn(&str),
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let sources: Vec<GoSource> = version.nodes.iter().filter_map(|node| source(node, root)).collect();
    if sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let executables = Executables::new(cache::folder()?).prepare(&sources, &show).await?;
    for (source, executable) in sources.iter().zip(&executables) {
        if let Executable::Prebuilt(path) = executable {
            warn(&format!(
                "found no `go`: node `{}` runs `{}` as it is, whatever its sources say",
                source.name,
                path.display()
            ));
        }
    }
    let paths = executables.iter().map(|executable| executable.path().to_owned());
    Ok(sources.into_iter().map(|source| source.name).zip(paths).collect())
}

fn source(node: &Node, root: &Path) -> Option<GoSource> {
    let build = node.build.as_ref()?;
    Some(GoSource {
        name: node.name.to_string(),
        folder: root.join(&build.folder),
        module: root.join(&build.module),
        executable: root.join(&node.src),
    })
}

/// What the compiler says against a package's sources, each with its place; other errors as they are.
pub(crate) fn problems(error: anyhow::Error, root: &Path) -> anyhow::Result<Vec<Problem>> {
    match error.downcast::<GoError>()? {
        GoError::Build { node, folder, output, .. } => {
            let folder = folder.strip_prefix(root).unwrap_or(&folder);
            let found: Vec<_> = output.iter().filter_map(|line| problem(line, folder)).collect();
            Ok(match found.is_empty() {
                false => found,
                true => {
                    let message = format!("node `{node}` does not build: {}", output.join("\n"));
                    vec![Problem::error(folder, message)]
                }
            })
        }
        error => Err(error.into()),
    }
}

/// A line of the compiler's, `FILE:LINE:COLUMN: MESSAGE`. Files are relative to the folder.
fn problem(line: &str, folder: &Path) -> Option<Problem> {
    let mut parts = line.splitn(4, ':');
    let file = parts.next().filter(|file| file.ends_with(".go") || file.ends_with("go.mod"))?;
    let mut number = || parts.next()?.trim().parse().ok();
    let (line, column) = (number()?, number()?);
    let message = parts.next()?.trim();
    let location = Location { line, column, span: 0..0 };
    Some(Problem::error(shorten(&folder.join(file)), message).at(location))
}

/// A path without what leads back.
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
    fn lines_of_the_compiler() {
        let rows = [
            ("./main.go:12:3: undefined: nothing", Some(("src/etl/main.go", 12, 3, "undefined: nothing"))),
            ("../shared/a.go:1:2: x: y", Some(("src/shared/a.go", 1, 2, "x: y"))),
            ("# etl", None),
            ("main.go:12: no column", None),
            ("go: module example.com/x: not found", None),
        ];
        for (line, expected) in rows {
            let found = problem(line, Path::new("src/etl"));
            let found = found.as_ref().map(|problem| {
                let at = problem.location.as_ref().unwrap();
                (problem.file.to_str().unwrap(), at.line, at.column, &*problem.message)
            });
            assert_eq!(found, expected, "{line}");
        }
    }
}
