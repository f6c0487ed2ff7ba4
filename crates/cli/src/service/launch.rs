//! How each node's process is started, and in which environment.

use super::ServiceArgs;
use crate::{build, cache, terminal};
use krt_environment::{Environments, Interpreter, NodeSource};
use krt_model::{
    name::VariableName,
    version::{Node, Version},
};
use krt_package::Package;
use krt_runtime::node::Launch;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The file of the Python SDK that is run as a host.
const HOST: &str = "krt/__main__.py";

/// What would let the user's other packages into an environment that was made for a node.
const PYTHON_PATHS: [&str; 2] = ["PYTHONPATH", "PYTHONHOME"];

/// A Python node's interpreter and the host's file.
struct Python {
    interpreter: Interpreter,
    host: PathBuf,
}

/// How each node is started, in the package's order. Makes what is missing for it: environments, executables.
pub(super) async fn prepare(
    args: &ServiceArgs,
    package: &Package,
    values: &BTreeMap<VariableName, String>,
) -> anyhow::Result<Vec<Launch>> {
    let pythons = pythons(args, package).await?;
    let executables =
        build::executables(&package.version, &package.root, |text| tracing::warn!("{text}")).await?;
    let launch = |node: &Node| {
        let src = package.root.join(&node.src);
        let name = node.name.as_str();
        let (program, arguments, hidden) = match pythons.get(name) {
            Some(Python { interpreter, host }) => {
                let hidden: &[_] = if interpreter.environment.is_some() { &PYTHON_PATHS } else { &[] };
                (interpreter.python.clone(), vec![host.clone()], hidden)
            }
            None => (executables.get(name).unwrap_or(&src).clone(), Vec::new(), &[][..]),
        };
        Launch {
            program,
            arguments,
            environment: environment(&package.version, node, &package.root, &src, values),
            hidden: hidden.to_vec(),
            folder: package.root.clone(),
        }
    };
    Ok(package.version.nodes.iter().map(launch).collect())
}

/// What each Python node runs in, by its name.
async fn pythons(args: &ServiceArgs, package: &Package) -> anyhow::Result<BTreeMap<String, Python>> {
    let is_python = |node: &&Node| Path::new(&node.src).extension().is_some_and(|ending| ending == "py");
    let source = |node: &Node| NodeSource { name: node.name.to_string(), src: PathBuf::from(&node.src) };
    let sources: Vec<_> = package.version.nodes.iter().filter(is_python).map(source).collect();
    if sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let environments = Environments::new(cache::folder()?, args.python.clone());
    let sdk = environments.sdk()?;
    if let Some(why) = sdk.fallback() {
        tracing::warn!("{why}");
    }
    let host = sdk.path().join(HOST);
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let interpreters = environments.prepare(&sources, &package.root, &show).await?;
    let named = sources.into_iter().map(|source| source.name);
    let pythons = interpreters.into_iter().map(|interpreter| Python { interpreter, host: host.clone() });
    Ok(named.zip(pythons).collect())
}

/// What a node's process sees in its environment (KRT v1, "On the wire" and "Package").
fn environment(
    version: &Version,
    node: &Node,
    root: &Path,
    src: &Path,
    values: &BTreeMap<VariableName, String>,
) -> Vec<(String, String)> {
    let own = [
        ("KRT_VERSION", version.name.to_string()),
        ("KRT_VERSION_ID", version.name.to_string()),
        ("KRT_RUNTIME_ID", version.name.to_string()),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_BASE_PATH", root.display().to_string()),
        ("KRT_HANDLER_PATH", src.display().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let given = values.iter().map(|(name, value)| (name.to_string(), value.clone()));
    given.chain(own).collect()
}
