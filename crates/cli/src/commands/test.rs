//! `krt test`: the tests beside each node's sources, run as its language does it.

use crate::{build, cache, exit, output, service, terminal};
use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use krt_environment::{ExecutableSource, Executables, Interpreter, PythonChoice};
use krt_model::version::Node;
use krt_package::Package;
use service::launch::{self, Pythons};
use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
};
use tokio::process::Command;

/// Names the file with the package's descriptors, to `krt.testing`.
const PROTOS: &str = "KRT_PROTOS";

/// What `krt test` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Each node is tested in its own environment, with the SDK that krt brings:
  Python   `pytest` where the node's requirements have it, else `unittest`
  Go       `go test ./...`
  Rust     `cargo test`

The exit code is 1 if a test fails.")]
pub(crate) struct TestArgs {
    /// The package: a folder with a krt.yml
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Only this node; may be given more than once
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<String>,

    /// The Python for nodes: a path, a command, or a version such as 3.12
    #[arg(long, value_name = "PYTHON", env = "KRT_PYTHON")]
    python: Option<PythonChoice>,
}

/// Runs the tests of each node, and says of which some failed.
pub(crate) fn execute(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let package =
        krt_package::load(&args.path).map_err(|error| terminal::package_error(error, &args.path))?;
    let nodes = chosen(&package, &args.nodes)?;
    let failed = service::block_on(test(args, &package, &nodes))?;
    if failed.is_empty() {
        return Ok(exit::SUCCESS);
    }
    output::print(&format!("tests failed: node `{}`", failed.join("`, node `")))?;
    Ok(exit::FAILURE)
}

/// The nodes that are named, or all.
fn chosen<'a>(package: &'a Package, names: &[String]) -> anyhow::Result<Vec<&'a Node>> {
    let nodes = &package.version.nodes;
    if names.is_empty() {
        return Ok(nodes.iter().collect());
    }
    let find = |name: &String| {
        let known: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        let hint = || format!("there is no node `{name}`; hint: there is `{}`", known.join("`, `"));
        nodes.iter().find(|node| node.name.as_str() == name).with_context(hint)
    };
    names.iter().map(find).collect()
}

/// The tests beside a node's sources.
enum Suite {
    /// Those of a folder, for an interpreter.
    Python(PathBuf),
    /// Those of an executable.
    Built(ExecutableSource),
}

impl Suite {
    /// The tests of a node, if there may be any.
    fn of(package: &Package, node: &Node) -> Option<Self> {
        if !launch::is_python(node) {
            return build::source(node, &package.root).map(Self::Built);
        }
        let folder = package.root.join(&node.src).parent()?.to_owned();
        has_tests(&folder).then_some(Self::Python(folder))
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Python(folder) => folder,
            Self::Built(source) => &source.folder,
        }
    }

    fn language(&self) -> &'static str {
        match self {
            Self::Python(_) => "Python",
            Self::Built(source) => source.language.as_str(),
        }
    }
}

/// Tests the nodes one after the other. The names of those that failed.
async fn test(args: &TestArgs, package: &Package, nodes: &[&Node]) -> anyhow::Result<Vec<String>> {
    let suites = suites(package, nodes);
    let in_python = |name: &str| {
        let is =
            |(node, suite): &(&Node, Suite)| node.name.as_str() == name && matches!(suite, Suite::Python(_));
        suites.iter().any(is)
    };
    let pythons = match package.version.nodes.iter().any(|node| in_python(node.name.as_str())) {
        true => {
            let which = |node: &&Node| in_python(node.name.as_str());
            Some(launch::pythons(args.python.as_ref(), package, which).await?)
        }
        false => None,
    };
    let mut failed = Vec::new();
    for (node, suite) in &suites {
        terminal::print_note(&format!("testing node `{}`, in {}", node.name, suite.language()));
        let name = node.name.as_str();
        let ended = match (suite, &pythons) {
            (Suite::Built(source), _) => Executables::new(cache::folder()?).test(source).await?,
            (Suite::Python(folder), Some(pythons)) => python(package, name, folder, pythons).await?,
            (Suite::Python(_), None) => continue,
        };
        if !ended.success() {
            failed.push(name.to_owned());
        }
    }
    Ok(failed)
}

/// The tests of nodes: those of one folder once.
fn suites<'a>(package: &Package, nodes: &[&'a Node]) -> Vec<(&'a Node, Suite)> {
    let mut folders = BTreeSet::new();
    let mut suites = Vec::new();
    for node in nodes {
        match Suite::of(package, node) {
            Some(suite) if folders.insert(suite.folder().to_owned()) => suites.push((*node, suite)),
            Some(_) => {}
            None => terminal::print_note(&format!("node `{}` has no tests", node.name)),
        }
    }
    suites
}

/// Whether a folder has tests that Python finds: `test_*.py`, there or below.
fn has_tests(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => !name.starts_with('.') && has_tests(&entry.path()),
            _ => name.starts_with("test") && name.ends_with(".py"),
        }
    })
}

/// Runs the tests of a folder in a node's interpreter.
async fn python(
    package: &Package,
    node: &str,
    folder: &Path,
    pythons: &Pythons,
) -> anyhow::Result<ExitStatus> {
    let interpreter = pythons.interpreters.get(node).context("each node was given an interpreter")?;
    let protos = tempfile::NamedTempFile::new()?;
    fs::write(&protos, STANDARD.encode(&package.schema.descriptors))?;
    let run = async |arguments: &[&str], output: fn() -> Stdio| {
        Command::new(&interpreter.python)
            .args(arguments)
            .env("PYTHONPATH", search_path(pythons.sdk.path(), folder, interpreter)?)
            .env(PROTOS, protos.path())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .status()
            .await
            .with_context(|| format!("cannot start `{}`", interpreter.python.display()))
    };
    let has_pytest = run(&["-c", "import pytest"], Stdio::null).await?.success();
    let arguments: &[&str] = if has_pytest { &["-m", "pytest"] } else { &["-m", "unittest", "discover"] };
    run(arguments, Stdio::inherit).await
}

/// Where modules are looked for: the SDK, the node's folder, and what the user's own interpreter sees.
fn search_path(sdk: &Path, folder: &Path, interpreter: &Interpreter) -> anyhow::Result<OsString> {
    let own = env::var_os("PYTHONPATH").filter(|_| interpreter.environment.is_none());
    let own: Vec<PathBuf> = own.iter().flat_map(env::split_paths).collect();
    Ok(env::join_paths([sdk, folder].into_iter().map(Path::to_owned).chain(own))?)
}
