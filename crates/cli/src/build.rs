//! Builds the Go and Rust nodes of a package.

use crate::{cache, terminal};
use krt_environment::{BuildError, Executable, ExecutableSource, Executables, Inherited, ProcessEnv};
use krt_model::version::{Language, Node, Version};
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
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let sources = sources(version, root, which);
    if sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let executables = Executables::new(cache::folder()?)
        .with_process_env(ProcessEnv::of_process().for_installers(origin))
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
                source.language.builder(),
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
        language: build.language,
        folder: root.join(&build.folder),
        root: root.to_owned(),
        module: root.join(&build.module),
        executable: root.join(&node.src),
    })
}

/// Returns the compiler's errors in a package's sources, each with its location; fails with all other errors.
pub(crate) fn problems(error: anyhow::Error, root: &Path) -> anyhow::Result<Vec<Problem>> {
    match error.downcast::<BuildError>()? {
        BuildError::Build { node, language, folder, output, hint, .. } => {
            let folder = folder.strip_prefix(root).unwrap_or(&folder);
            let mut found = match language {
                Language::Go => of_go(&output, folder),
                Language::Rust => of_rust(&output, folder, root),
            };
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

/// Parses the lines of the Go compiler's output that are `FILE:LINE:COLUMN: MESSAGE`. Files are relative to
/// the folder.
fn of_go(output: &[String], folder: &Path) -> Vec<Problem> {
    let problem = |line: &String| {
        let (file, at) = place(line)?;
        let message = line.splitn(4, ':').nth(3)?.trim();
        let is_source = file.ends_with(".go") || file.ends_with("go.mod");
        is_source.then(|| Problem::error(shorten(&folder.join(file)), message).at(at))
    };
    output.iter().filter_map(problem).collect()
}

/// Parses the errors of the Rust compiler: a line `error: MESSAGE` or `error[CODE]: MESSAGE`, followed by the
/// location. Files are relative to the folder, or to a workspace above it.
fn of_rust(output: &[String], folder: &Path, root: &Path) -> Vec<Problem> {
    let mut message = None;
    let mut problems = Vec::new();
    for line in output {
        if line.starts_with("error") || line.starts_with("warning") {
            message = line.strip_prefix("error").and_then(|rest| rest.split_once(": "));
        } else if let Some(place_of) = line.trim_start().strip_prefix("--> ")
            && let Some((_, message)) = message.take()
            && let Some((file, at)) = place(place_of)
        {
            let mut folders = folder.ancestors().map(|folder| folder.join(file));
            let known = folders.find(|file| root.join(file).is_file());
            let file = known.unwrap_or_else(|| folder.join(file));
            problems.push(Problem::error(shorten(&file), message).at(at));
        }
    }
    problems
}

/// Splits `FILE:LINE:COLUMN` off the start of a text.
fn place(text: &str) -> Option<(&str, Location)> {
    let mut parts = text.splitn(4, ':');
    let file = parts.next()?;
    let mut number = || parts.next()?.trim().parse().ok();
    Some((file, Location { line: number()?, column: number()?, span: 0..0 }))
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

    fn brief(problems: &[Problem]) -> Vec<(&str, usize, usize, &str)> {
        let places = problems.iter().map(|problem| (problem, problem.location.as_ref().unwrap()));
        let brief = places.map(|(of, at)| (of.file.to_str().unwrap(), at.line, at.column, &*of.message));
        brief.collect()
    }

    #[test]
    fn what_go_says() {
        let rows = [
            ("./main.go:12:3: undefined: nothing", Some(("src/etl/main.go", 12, 3, "undefined: nothing"))),
            ("../shared/a.go:1:2: x: y", Some(("src/shared/a.go", 1, 2, "x: y"))),
            ("# etl", None),
            ("main.go:12: no column", None),
            ("go: module example.com/x: not found", None),
        ];
        for (line, expected) in rows {
            let found = of_go(&[line.to_owned()], Path::new("src/etl"));
            assert_eq!(brief(&found), Vec::from_iter(expected), "{line}");
        }
    }

    #[test]
    fn what_rust_says() {
        let output = "\
   Compiling etl v0.1.0
warning: unused variable: `a`
  --> src/main.rs:2:9
   |
error[E0425]: cannot find value `b`: not found
  --> src/main.rs:3:5
   |
 --> src/main.rs:9:9
error: aborting
error: expected one of `!`
 --> ../shared/src/lib.rs:1:2";
        let output: Vec<_> = output.lines().map(str::to_owned).collect();
        let found = of_rust(&output, Path::new("src/etl"), Path::new("/nowhere"));
        let expected = [
            ("src/etl/src/main.rs", 3, 5, "cannot find value `b`: not found"),
            ("src/shared/src/lib.rs", 1, 2, "expected one of `!`"),
        ];
        assert_eq!(brief(&found), expected);
    }
}
