//! Finds and runs the tests of Python nodes.

use super::{Outcome, child_output, pytest::Configuration};
use crate::{
    build,
    error::{Context as _, Result},
    service::{Pythons, launch},
    terminal,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_environment::{Interpreter, ProcessEnv};
use krt_model::version::Node;
use krt_package::Package;
use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// The variable that passes the file of the package's descriptors to `krt.testing`.
const PROTOS: &str = "KRT_PROTOS";
/// The arguments that run pytest. The plugin provides the package's `*_pb2` modules from the start, as in a
/// node.
const PYTEST: [&str; 4] = ["-m", "pytest", "-p", "krt.testing"];
/// The script that runs unittest over given files.
const UNITTESTS: &str = include_str!("unittests.py");
/// The exit code of pytest, and of our script, if there are no tests.
const NO_TESTS: i32 = 5;
/// The exit code of our script if all tests are plain functions.
const FUNCTIONS: i32 = 6;
/// The maximum depth of the search for tests.
const MAX_DEPTH: usize = 32;
/// Folders that pytest skips as well. Hidden folders and virtual environments are also skipped.
const SKIPPED_FOLDERS: [&str; 6] = ["build", "dist", "node_modules", "venv", "__pycache__", "site-packages"];

/// A set of Python tests.
#[derive(Debug)]
pub(super) struct Suite {
    /// The working directory.
    folder: PathBuf,
    /// The arguments for pytest; empty for its own discovery.
    places: Vec<PathBuf>,
    /// The files that may contain tests.
    files: Vec<PathBuf>,
    /// Whether the tests belong to no single node.
    is_shared: bool,
}

impl Suite {
    /// The tests beside a node's source, if there may be any.
    pub(super) fn of(package: &Package, node: &Node) -> Option<Self> {
        let folder = folder(package, node)?;
        let configuration = Configuration::find(&folder, &package.root).unwrap_or_default();
        let mut places = Vec::new();
        // pytest applies `testpaths` only in the configuration's folder; elsewhere, pass the places
        // explicitly.
        if configuration.folder != folder && !configuration.testpaths.is_empty() {
            let said = configuration.places();
            if !said.iter().any(|place| folder.starts_with(place)) {
                places.extend(said.into_iter().filter(|place| place.starts_with(&folder)));
                if places.is_empty() {
                    return None;
                }
            }
        }
        let within = if places.is_empty() { vec![folder.clone()] } else { places.clone() };
        let files = files(&within, &BTreeSet::new(), configuration.names_files);
        (!files.is_empty()).then_some(Self { folder, places, files, is_shared: false })
    }

    /// The tests outside of all nodes' folders: in the configured places, or anywhere.
    pub(super) fn shared(package: &Package) -> Option<Self> {
        let nodes: BTreeSet<PathBuf> =
            package.version.nodes.iter().filter_map(|node| folder(package, node)).collect();
        let configuration = Configuration::find(&package.root, &package.root).unwrap_or_default();
        let within = match configuration.testpaths.is_empty() {
            true => vec![package.root.clone()],
            false => configuration.places(),
        };
        let files = files(&within, &nodes, configuration.names_files);
        let suite = Self { folder: package.root.clone(), places: files.clone(), files, is_shared: true };
        (!suite.files.is_empty()).then_some(suite)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the tests belong to no single node.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The heading above the tests' output.
    pub(super) fn title(&self, node: &str) -> String {
        match self.is_shared {
            true => format!("testing what is in no node's folder, with the environment of node `{node}`"),
            false => format!("testing node `{node}`, in Python"),
        }
    }

    /// Runs the tests with a node's interpreter.
    pub(super) async fn run(&self, package: &Package, node: &str, pythons: &Pythons) -> Result<Outcome> {
        let interpreter = pythons.interpreters.get(node).context("each node was given an interpreter")?;
        let protos = tempfile::NamedTempFile::new()?;
        fs::write(&protos, STANDARD.encode(&package.schema.descriptors))?;
        let search_path = self.search_path(pythons, package, interpreter)?;
        let command = |arguments: &[OsString]| {
            let mut command = Command::new(&interpreter.python);
            command
                .args(arguments)
                .env_clear()
                .envs(ProcessEnv::of_process().variables())
                .env("PYTHONPATH", &search_path)
                .env(launch::MODULES, pythons.modules.path())
                .env(PROTOS, protos.path())
                .current_dir(&self.folder);
            command
        };
        let started = || format!("cannot start `{}`", interpreter.python.display());
        let mut look = command(&["-c", "import pytest"].map(OsString::from));
        look.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let has_pytest = look.status().await.with_context(started)?.success();
        // Without pytest, its configuration has no effect.
        let unittests: Vec<_> = self.files.iter().filter(|file| is_test(&name_of(file))).cloned().collect();
        let (own, named): (&[&str], _) =
            if has_pytest { (&PYTEST, &self.places) } else { (&["-c", UNITTESTS], &unittests) };
        let own = own.iter().map(OsString::from);
        let arguments: Vec<_> = own.chain(named.iter().map(|path| path.clone().into_os_string())).collect();
        let status = child_output::run(command(&arguments)).await.with_context(started)?;
        match status.code() {
            Some(0) => Ok(Outcome::Passed),
            Some(NO_TESTS) => Ok(Outcome::NoTests),
            Some(FUNCTIONS) if !has_pytest => {
                terminal::print_warning_with_hint(
                    &format!("the tests of node `{node}` are functions, which `unittest` does not run"),
                    "add `pytest` to the node's requirements",
                );
                Ok(Outcome::Failed)
            }
            _ => Ok(Outcome::Failed),
        }
    }

    /// The module search path: the SDK, the nodes' folders, the generated modules, and the user's own search
    /// path.
    fn search_path(
        &self,
        pythons: &Pythons,
        package: &Package,
        interpreter: &Interpreter,
    ) -> Result<OsString> {
        let nodes = package.version.nodes.iter().filter(|node| launch::is_python(node));
        let nodes = nodes.filter_map(|node| folder(package, node)).filter(|_| self.is_shared);
        let own = env::var_os("PYTHONPATH").filter(|_| interpreter.environment.is_none());
        let own: Vec<PathBuf> = own.iter().flat_map(env::split_paths).collect();
        let given = [pythons.sdk.path().to_owned(), self.folder.clone()].into_iter().chain(nodes);
        let made = pythons.modules.path().to_owned();
        Ok(env::join_paths(given.chain([made]).chain(own))?)
    }
}

/// The folder of a node's sources.
fn folder(package: &Package, node: &Node) -> Option<PathBuf> {
    match build::source(node, &package.root) {
        Some(source) => Some(source.folder),
        None => Some(package.root.join(&node.src).parent()?.to_owned()),
    }
}

/// Finds files that may contain tests below some places, except below the folders in `without`. With `any`,
/// every Python file counts, since the author's configuration sets the names.
fn files(places: &[PathBuf], without: &BTreeSet<PathBuf>, any: bool) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut listed = BTreeSet::new();
    let mut ahead: Vec<(PathBuf, usize)> = places.iter().map(|place| (place.clone(), 0)).collect();
    while let Some((place, depth)) = ahead.pop() {
        let name = name_of(&place);
        if without.iter().any(|folder| place.starts_with(folder)) {
            continue;
        }
        if place.is_dir() {
            let is_foreign = depth > 0 && (name.starts_with('.') || SKIPPED_FOLDERS.contains(&&*name))
                || place.join("pyvenv.cfg").exists();
            let is_new = place.canonicalize().is_ok_and(|real| listed.insert(real));
            if is_new && !is_foreign && depth < MAX_DEPTH {
                let entries = fs::read_dir(&place).into_iter().flatten().flatten();
                ahead.extend(entries.map(|entry| (entry.path(), depth + 1)));
            }
        } else if is_test(&name) || any && name.ends_with(".py") {
            found.insert(place);
        }
    }
    found.into_iter().collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether pytest or unittest searches a file of this name for tests.
fn is_test(name: &str) -> bool {
    name.ends_with("_test.py") || name.starts_with("test") && name.ends_with(".py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_test_files() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "test_a.py",
            "a_test.py",
            "main.py",
            "conftest.py",
            "tests/test_b.py",
            "tests/deep/b_test.py",
            "tests/test_data.txt",
            ".hidden/test_c.py",
            "node_modules/test_c.py",
            "env/pyvenv.cfg",
            "env/lib/test_c.py",
            "src/etl/test_d.py",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.path().join("tests/up")).unwrap();
        let without = BTreeSet::from([root.path().join("src/etl")]);
        let names = |any| -> Vec<String> {
            let found = files(&[root.path().to_owned()], &without, any);
            found.iter().map(|path| path.strip_prefix(root.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(false), ["a_test.py", "test_a.py", "tests/deep/b_test.py", "tests/test_b.py"]);
        let all =
            ["a_test.py", "conftest.py", "main.py", "test_a.py", "tests/deep/b_test.py", "tests/test_b.py"];
        assert_eq!(names(true), all);
    }
}
