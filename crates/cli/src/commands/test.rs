//! `krt test`: runs the tests next to each node's sources, with the test tool of its language.

mod child_output;
mod pytest;
mod python;

use crate::{
    build, cache,
    error::{Result, error},
    exit, output, service, terminal,
};
use clap::Args;
use krt_environment::{ExecutableSource, Executables, Files, GroupGuard, Inherited, PythonChoice};
use krt_model::version::Node;
use krt_package::Package;
use krt_reader::CancelHandle;
use service::launch;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Tests each node in its own environment, with krt's SDK:
  Python   `pytest` where the node's requirements have it, else `unittest`: the files
           test_*.py and *_test.py beside the node's source and below
  Go       `go test ./...`
  Rust     `cargo test`

pytest reads its configuration from the node's folder or one above it, up to the package's. Tests
outside of node folders, such as those in `tests`, run once, in the environment of the first
Python node.

The exit code is 1 if a test fails.")]
pub(crate) struct TestArgs {
    /// The package: a folder with a krt.yml
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Test only this node; may be given several times
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<String>,

    /// The Python for nodes: a path, a command, or a version such as 3.12
    #[arg(long, value_name = "PYTHON", env = "KRT_PYTHON")]
    python: Option<PythonChoice>,
}

/// Runs the tests of each node, and lists the nodes with failures.
pub(crate) fn execute(args: &TestArgs) -> Result<ExitCode> {
    let package = krt_reader::load(&args.path, &CancelHandle::default())
        .map_err(|error| terminal::package_error(error, &args.path))?;
    let nodes = chosen(&package, &args.nodes)?;
    let failed = service::block_on(test(args, &package, &nodes))?;
    if failed.is_empty() {
        return Ok(exit::SUCCESS);
    }
    output::print(&format!("tests failed: node `{}`", failed.join("`, node `")))?;
    Ok(exit::FAILURE)
}

/// The selected nodes, by default all.
fn chosen<'a>(package: &'a Package, names: &[String]) -> Result<Vec<&'a Node>> {
    let nodes = &package.version.nodes;
    if names.is_empty() {
        return Ok(nodes.iter().collect());
    }
    let find = |name: &String| {
        let known = || nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join("`, `");
        let found = nodes.iter().find(|node| node.name.as_str() == name);
        found.ok_or_else(|| error!("there is no node `{name}`"; hint: "there is `{}`", known()))
    };
    names.iter().map(find).collect()
}

/// A set of tests that run together.
enum Suite {
    Python(python::Suite),
    /// The tests of a compiled node.
    Built(ExecutableSource),
}

impl Suite {
    /// The tests of a node, if there may be any.
    fn of(package: &Package, node: &Node) -> Option<Self> {
        match launch::is_python(node) {
            true => python::Suite::of(package, node).map(Self::Python),
            false => build::source(node, &package.root).map(Self::Built),
        }
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Python(suite) => suite.folder(),
            Self::Built(source) => &source.folder,
        }
    }
}

/// The outcome of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// No tests found.
    NoTests,
}

/// Tests the nodes sequentially, then the tests outside of all nodes' folders. Returns the names of nodes
/// with failed tests.
async fn test(args: &TestArgs, package: &Package, nodes: &[&Node]) -> Result<Vec<String>> {
    let mut suites = suites(package, nodes);
    if args.nodes.is_empty()
        && let Some(first) = nodes.iter().find(|node| launch::is_python(node))
    {
        suites.extend(python::Suite::shared(package).map(|suite| (*first, Suite::Python(suite))));
    }
    let in_python: BTreeSet<&str> = suites
        .iter()
        .filter(|(_, suite)| matches!(suite, Suite::Python(_)))
        .map(|(node, _)| node.name.as_str())
        .collect();
    let pythons = match in_python.is_empty() {
        true => None,
        false => {
            let which = |node: &&Node| in_python.contains(node.name.as_str());
            Some(launch::pythons(args.python.as_ref(), package, Files::Live, Inherited::Shell, which).await?)
        }
    };
    let mut failed: Vec<String> = Vec::new();
    for (node, suite) in &suites {
        let name = node.name.as_str();
        let ended = match (suite, &pythons) {
            (Suite::Built(source), _) => {
                terminal::print_note(&format!("testing node `{name}`, in {}", source.language.name()));
                let executables =
                    Executables::new(cache::folder()?).with_guard(GroupGuard::of_this_program());
                let status = executables.test(source, child_output::run).await?;
                if status.success() { Outcome::Passed } else { Outcome::Failed }
            }
            (Suite::Python(suite), Some(pythons)) => {
                terminal::print_note(&suite.title(name));
                suite.run(package, name, pythons).await?
            }
            (Suite::Python(_), None) => continue,
        };
        if ended == Outcome::NoTests && !matches!(suite, Suite::Python(suite) if suite.is_shared()) {
            terminal::print_note(&format!("node `{name}` has no tests"));
        }
        if ended == Outcome::Failed && !failed.iter().any(|known| known == name) {
            failed.push(name.to_owned());
        }
    }
    Ok(failed)
}

/// The tests of nodes, each folder once.
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
