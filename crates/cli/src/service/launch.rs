//! How each node's process is started, and in which environment.

use crate::{build, cache, terminal};
use krt_environment::{Environments, Interpreter, NodeSource, PythonChoice, Sdk};
use krt_model::{name::VariableName, version::Node};
use krt_package::Package;
use krt_runtime::node::Launch;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The file of the Python SDK that is run as a host.
const HOST: &str = "krt/__main__.py";

/// What would let the user's other packages into an environment that was made for a node.
const PYTHON_PATHS: [&str; 2] = ["PYTHONPATH", "PYTHONHOME"];

/// What Python nodes run in.
pub(crate) struct Pythons {
    /// The SDK, which must be there as long as they run.
    pub(crate) sdk: Sdk,
    /// The interpreter of each, by its name.
    pub(crate) interpreters: BTreeMap<String, Interpreter>,
}

/// How each node is started.
pub(crate) struct Launches {
    /// In the package's order; none for those that run elsewhere.
    pub(crate) nodes: Vec<Option<Launch>>,
    /// The SDK, which must be there as long as they run.
    pub(crate) sdk: Option<Sdk>,
}

/// How each node that runs `here` is started. Makes what is missing for it: environments, executables.
pub(crate) async fn prepare(
    python: Option<&PythonChoice>,
    package: &Package,
    runtime: &str,
    values: &BTreeMap<VariableName, String>,
    here: &BTreeSet<usize>,
) -> anyhow::Result<Launches> {
    let names: BTreeSet<_> = here.iter().map(|&node| &package.version.nodes[node].name).collect();
    let is_here = |node: &Node| names.contains(&node.name);
    let is_python = |node: &&Node| is_here(node) && is_python(node);
    let pythons = match package.version.nodes.iter().find(is_python) {
        Some(_) => Some(pythons(python, package, is_python).await?),
        None => None,
    };
    let interpreter = |name: &str| {
        let pythons = pythons.as_ref()?;
        Some((pythons.interpreters.get(name)?, pythons.sdk.path().join(HOST)))
    };
    let executables =
        build::executables(&package.version, &package.root, is_here, |text| tracing::warn!("{text}")).await?;
    let launch = |node: &Node| {
        let src = package.root.join(&node.src);
        let name = node.name.as_str();
        let (program, arguments, hidden) = match interpreter(name) {
            Some((interpreter, host)) => {
                let hidden: &[_] = if interpreter.environment.is_some() { &PYTHON_PATHS } else { &[] };
                (interpreter.python.clone(), vec![host], hidden)
            }
            None => (executables.get(name).unwrap_or(&src).clone(), Vec::new(), &[][..]),
        };
        Launch {
            program,
            arguments,
            environment: environment(package, runtime, node, &src, values),
            hidden: hidden.to_vec(),
            folder: package.root.clone(),
        }
    };
    let nodes = package.version.nodes.iter().map(|node| is_here(node).then(|| launch(node))).collect();
    Ok(Launches { nodes, sdk: pythons.map(|pythons| pythons.sdk) })
}

/// Whether a node is in Python.
pub(crate) fn is_python(node: &Node) -> bool {
    Path::new(&node.src).extension().is_some_and(|ending| ending == "py")
}

/// What some of a package's Python nodes run in.
pub(crate) async fn pythons(
    choice: Option<&PythonChoice>,
    package: &Package,
    which: impl Fn(&&Node) -> bool,
) -> anyhow::Result<Pythons> {
    let source = |node: &Node| NodeSource { name: node.name.to_string(), src: PathBuf::from(&node.src) };
    let sources: Vec<_> = package.version.nodes.iter().filter(which).map(source).collect();
    let environments = Environments::new(cache::folder()?, choice.cloned());
    let sdk = environments.sdk()?;
    if let Some(why) = sdk.fallback() {
        tracing::warn!("{why}");
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let interpreters = environments.prepare(&sources, &package.root, &show).await?;
    let names = sources.into_iter().map(|source| source.name);
    Ok(Pythons { sdk, interpreters: names.zip(interpreters).collect() })
}

/// What a node's process sees in its environment (KRT v1, "On the wire" and "Package").
fn environment(
    package: &Package,
    runtime: &str,
    node: &Node,
    src: &Path,
    values: &BTreeMap<VariableName, String>,
) -> Vec<(String, String)> {
    let own = [
        ("KRT_VERSION", package.version.name.to_string()),
        ("KRT_VERSION_ID", package.version.name.to_string()),
        ("KRT_RUNTIME_ID", runtime.to_owned()),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_BASE_PATH", package.root.display().to_string()),
        ("KRT_HANDLER_PATH", src.display().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let given = values.iter().map(|(name, value)| (name.to_string(), value.clone()));
    given.chain(own).collect()
}
