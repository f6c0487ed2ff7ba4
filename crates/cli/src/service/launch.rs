//! The command and environment of each node's process.

use super::{
    isolated::{self, PrepareInput},
    older::{self, Servers},
    visible_files,
};
use crate::{
    build, cache,
    error::{Context as _, Result, bail},
    terminal,
};
use krt_environment::{
    Environments, Files, GroupGuard, Inherited, Interpreter, Modules, NodeSource, ProcessEnv, PythonChoice,
    Sdk,
};
use krt_guard::Isolation;
use krt_model::{
    language::Language,
    name::VariableName,
    version::{Node, Workflow},
};
use krt_package::Package;
use krt_runtime::node::{Launch, Lifeline};
use prost_reflect::FileDescriptor;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{self, Path, PathBuf},
};

/// The file of the Python SDK that runs as a worker.
const WORKER: &str = "krt/__main__.py";

/// The variable with the folder of the package's generated `*_pb2` modules.
pub(crate) const MODULES: &str = "KRT_MODULES";

/// Variables that would add the user's other packages to a node's environment.
const PYTHON_PATHS: [&str; 2] = ["PYTHONPATH", "PYTHONHOME"];

/// The variable with the folder for temporary files: an isolated version has its own `/tmp`.
const TEMPORARY: &str = "TMPDIR";

/// The runtime environment of Python nodes.
pub(crate) struct Pythons {
    /// The SDK; must exist while the nodes run.
    pub(crate) sdk: Sdk,
    /// The modules of the package's messages; must exist while the nodes run.
    pub(crate) modules: Modules,
    /// The interpreter of each node, by node name.
    pub(crate) interpreters: BTreeMap<String, Interpreter>,
}

/// How to start each node.
pub(crate) struct Launches {
    /// In the package's order; `None` for nodes that run elsewhere.
    pub(crate) nodes: Vec<Option<Launch>>,
    /// The environment of Python nodes; must exist while they run.
    pub(crate) pythons: Option<Pythons>,
}

/// What must be ready before the nodes start.
pub(crate) struct LaunchRequirements<'a> {
    /// The Python to use for nodes, if given.
    pub(crate) python: Option<&'a PythonChoice>,
    /// Whether the package's files may change while the nodes run.
    pub(crate) files: Files,
    /// The executables of compiled nodes, by node name.
    pub(crate) executables: BTreeMap<String, PathBuf>,
    /// The servers for executables of older runners.
    pub(crate) older: &'a Servers,
    /// The kind of environment that this process has.
    pub(crate) origin: Inherited,
    /// The isolation of the version, if enabled.
    pub(crate) isolated: Option<Isolated>,
}

/// The isolation of a version, and what was made in it.
pub(crate) struct Isolated {
    isolation: Isolation,
    /// Of the nodes in Python, in the package's order.
    interpreters: Vec<Interpreter>,
}

/// Returns the executables of compiled nodes that run `here`, by node name. Builds missing ones.
pub(crate) async fn executables(
    package: &Package,
    here: &BTreeSet<usize>,
    origin: Inherited,
) -> Result<BTreeMap<String, PathBuf>> {
    let names: BTreeSet<_> = here.iter().map(|&node| &package.version.nodes[node].name).collect();
    let is_here = |node: &Node| names.contains(&node.name);
    let warn = |text: &str| tracing::warn!("{text}");
    let executables = build::executables(&package.version, &package.root, origin, is_here, warn).await?;
    require_sdk(package, &executables)?;
    Ok(executables)
}

/// Refuses executables of older runners whose sources could not be built.
fn require_sdk(package: &Package, executables: &BTreeMap<String, PathBuf>) -> Result<()> {
    if let Some((node, found)) = older::prebuilt(&package.version, executables, &package.root) {
        bail!(
            "node `{node}` has sources that cannot be built here, and its executable was built with an \
             older runner ({found})";
            hint: "install Go (https://go.dev/dl), or take the sources out of the package"
        );
    }
    Ok(())
}

/// Makes what the nodes of a server's version run in, in isolation. Returns its executables as well.
///
/// `folder` is the version's own, for the result.
pub(crate) async fn isolate(
    python: Option<&PythonChoice>,
    package: &Package,
    mut isolation: Isolation,
    folder: &Path,
    lifeline: &Lifeline,
) -> Result<(BTreeMap<String, PathBuf>, Isolated)> {
    let parent = folder.parent().unwrap_or(folder);
    let parent = fs::canonicalize(parent).with_context(|| format!("cannot find `{}`", parent.display()))?;
    let folder = parent.join(folder.file_name().unwrap_or_default());
    // The process that makes it has another working directory.
    let python = python.map(|choice| match choice {
        PythonChoice::Path(path) => PythonChoice::Path(path::absolute(path).unwrap_or_else(|_| path.clone())),
        choice => choice.clone(),
    });
    visible_files::add(&mut isolation, &package.root)?;
    let environments = environments(python.as_ref(), Files::Fixed, Inherited::Server)?;
    for interpreter in environments.installed(&package.root).await {
        visible_files::add_installation(&mut isolation, &interpreter);
    }
    let input = PrepareInput {
        root: package.root.clone(),
        python,
        pythons: sources(package, is_python),
        executables: build::sources(&package.version, &package.root, |_| true),
    };
    if input.pythons.is_empty() && input.executables.is_empty() {
        return Ok((BTreeMap::new(), Isolated { isolation, interpreters: Vec::new() }));
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let output = isolated::prepare_isolated(&input, isolation.clone(), &folder, lifeline, &show).await?;
    isolation.kept.push(folder);
    let executables = build::by_name(input.executables, &output.executables, |text| tracing::warn!("{text}"));
    require_sdk(package, &executables)?;
    Ok((executables, Isolated { isolation, interpreters: output.interpreters }))
}

/// Prepares the start of each node that runs `here`. Creates missing environments.
pub(crate) async fn prepare(
    ready: LaunchRequirements<'_>,
    package: &Package,
    runtime: &str,
    values: &BTreeMap<VariableName, String>,
    here: &BTreeSet<usize>,
) -> Result<Launches> {
    let names: BTreeSet<_> = here.iter().map(|&node| &package.version.nodes[node].name).collect();
    let is_here = |node: &Node| names.contains(&node.name);
    let is_python = |node: &&Node| is_here(node) && is_python(node);
    let LaunchRequirements { python, files, executables, older, origin, isolated } = ready;
    let (mut isolation, interpreters) =
        isolated.map(|isolated| (isolated.isolation, isolated.interpreters)).unzip();
    let pythons = match package.version.nodes.iter().find(is_python) {
        Some(_) => {
            let environments = environments(python, files, origin)?;
            let sources = sources(package, |node| is_python(&node));
            Some(pythons_of(&environments, package, sources, interpreters).await?)
        }
        None => None,
    };
    if let (Some(isolation), Some(pythons)) = (&mut isolation, &pythons) {
        visible_files::add(isolation, pythons.sdk.path())?;
        visible_files::add(isolation, pythons.modules.path())?;
    }
    let interpreter = |name: &str| {
        let pythons = pythons.as_ref()?;
        Some((pythons.interpreters.get(name)?, pythons.sdk.path().join(WORKER)))
    };
    let inherited = ProcessEnv::of_process().for_workers(origin, &package.version.environment);
    let launch = |node: &Node| {
        let src = package.root.join(&node.src);
        let name = node.name.as_str();
        let interpreter = interpreter(name);
        let is_made = interpreter.as_ref().is_some_and(|(interpreter, _)| interpreter.environment.is_some());
        let mut inherited = inherited.clone();
        if is_made {
            inherited = inherited.without(&PYTHON_PATHS);
        }
        if isolation.is_some() {
            inherited = inherited.without(&[TEMPORARY]);
        }
        let mut environment: Vec<_> = inherited.texts().collect();
        environment.extend(own_environment(package, runtime, node, values));
        let (program, arguments) = match interpreter {
            Some((interpreter, worker)) => {
                environment.extend(modules(pythons.as_ref()));
                (interpreter.python.clone(), vec![worker])
            }
            None => (executables.get(name).unwrap_or(&src).clone(), Vec::new()),
        };
        let older = node.run.runner.older().and_then(|runner| older.provide(runner));
        let folder = package.root.clone();
        Launch { older, program, arguments, environment, folder, isolation: isolation.clone() }
    };
    let nodes = package.version.nodes.iter().map(|node| is_here(node).then(|| launch(node))).collect();
    Ok(Launches { nodes, pythons })
}

/// Whether a package's files may change while its nodes run.
pub(crate) fn files(is_unpacked: bool) -> Files {
    if is_unpacked { Files::Fixed } else { Files::Live }
}

/// Whether a node is in Python.
pub(crate) fn is_python(node: &Node) -> bool {
    node.language == Some(Language::PYTHON)
}

/// Prepares the environment of some of a package's Python nodes.
pub(crate) async fn pythons(
    choice: Option<&PythonChoice>,
    package: &Package,
    files: Files,
    origin: Inherited,
    which: impl Fn(&&Node) -> bool,
) -> Result<Pythons> {
    let environments = environments(choice, files, origin)?;
    pythons_of(&environments, package, sources(package, |node| which(&node)), None).await
}

/// The environments of this machine's cache.
fn environments(choice: Option<&PythonChoice>, files: Files, origin: Inherited) -> Result<Environments> {
    let process_env = ProcessEnv::of_process().for_installers(origin);
    let environments = Environments::new(cache::folder()?, choice.cloned());
    let environments = environments.with_files(files).with_process_env(process_env);
    Ok(environments.with_guard(GroupGuard::of_this_program()))
}

/// The sources of some Python nodes.
fn sources(package: &Package, which: impl Fn(&Node) -> bool) -> Vec<NodeSource> {
    let source = |node: &Node| NodeSource { name: node.name.to_string(), src: PathBuf::from(&node.src) };
    package.version.nodes.iter().filter(|node| which(node)).map(source).collect()
}

/// What Python nodes run in: with interpreters that were chosen before, or with those that this chooses.
async fn pythons_of(
    environments: &Environments,
    package: &Package,
    sources: Vec<NodeSource>,
    interpreters: Option<Vec<Interpreter>>,
) -> Result<Pythons> {
    let sdk = environments.sdk()?;
    let files: Vec<_> = package.schema.pool.files().collect();
    let files: Vec<&str> = files.iter().map(FileDescriptor::name).collect();
    let modules = environments.modules(&package.schema.descriptors, &files)?;
    for why in [sdk.fallback(), modules.fallback()].into_iter().flatten() {
        tracing::warn!("{why}");
    }
    let progress = terminal::Installation::new();
    let show = |event| progress.show(event);
    let interpreters = match interpreters {
        Some(interpreters) => interpreters,
        None => environments.prepare(&sources, &package.root, &show).await?,
    };
    let names = sources.into_iter().map(|source| source.name);
    Ok(Pythons { sdk, modules, interpreters: names.zip(interpreters).collect() })
}

/// The variable that passes the modules' folder to workers and to tests of nodes.
fn modules(pythons: Option<&Pythons>) -> Option<(String, String)> {
    Some((MODULES.to_owned(), pythons?.modules.path().display().to_string()))
}

/// The workflows of a node, joined by commas; usually one.
fn workflows(package: &Package, node: &Node) -> String {
    let version = &package.version;
    let is_in =
        |workflow: &&Workflow| workflow.sequence.iter().any(|&index| version.nodes[index].name == node.name);
    let names: Vec<_> =
        version.workflows.iter().filter(is_in).map(|workflow| workflow.name.as_str()).collect();
    names.join(",")
}

/// The environment variables of a node's process besides the inherited ones
/// (docs/reference/krt-v1.md#environment-of-a-node and #configuration).
fn own_environment(
    package: &Package,
    runtime: &str,
    node: &Node,
    values: &BTreeMap<VariableName, String>,
) -> Vec<(String, String)> {
    let own = [
        ("KRT_WORKFLOW_NAME", workflows(package, node)),
        ("KRT_VERSION", package.version.name.to_string()),
        ("KRT_VERSION_ID", package.version.name.to_string()),
        ("KRT_RUNTIME_ID", runtime.to_owned()),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_BASE_PATH", package.root.display().to_string()),
        ("KRT_HANDLER_PATH", node.src.clone()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let given = values.iter().map(|(name, value)| (name.to_string(), value.clone()));
    given.chain(own).collect()
}
