//! Prepares the environments and executables of an isolated version, in isolation: installers and compilers run
//! code of its package.
//!
//! The version has a folder for it, which no other version sees or uses. A process of `krt` with the version's user
//! and view of the system (`krt prepare`) makes its content. The package's code can take that process over, so
//! its output is untrusted: paths from it are only used inside the version's isolation.

use super::visible_files;
use crate::{
    error::{Context as _, Error, Result, bail, ensure},
    output,
};
use krt_environment::{
    Environments, Event, Executable, ExecutableSource, Executables, Files, Inherited, Interpreter,
    NodeSource, ProcessEnv, PythonChoice,
};
use krt_guard::Isolation;
use krt_runtime::node::{Lifeline, run_isolated};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Variables that locate caches of installers and compilers, and their places in the folder. The server's own are
/// shared by versions.
const FOLDERS: [(&str, &str); 10] = [
    ("KRT_CACHE", ""),
    ("TMPDIR", "tmp"),
    ("XDG_CACHE_HOME", "cache"),
    ("PIP_CACHE_DIR", "cache/pip"),
    ("UV_CACHE_DIR", "cache/uv"),
    ("CARGO_HOME", "cargo"),
    ("GOPATH", "go"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("GOCACHE", "cache/go-build"),
    ("GOTMPDIR", "tmp"),
];

/// The nodes to prepare.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrepareInput {
    /// The package's folder.
    pub(super) root: PathBuf,
    /// The Python to use, if given.
    pub(super) python: Option<PythonChoice>,
    /// The nodes in Python.
    pub(super) pythons: Vec<NodeSource>,
    /// The nodes built from sources.
    pub(super) executables: Vec<ExecutableSource>,
}

/// The prepared interpreters and executables, in the order of the input.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PrepareOutput {
    pub(super) interpreters: Vec<Interpreter>,
    pub(super) executables: Vec<Executable>,
}

/// A line of the process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Event(Event),
    Made(PrepareOutput),
    Failed { message: String, hints: Vec<String> },
}

/// Prepares the nodes of a version in its `folder`, in isolation. `isolation` also has what the version's workers
/// see.
pub(super) async fn prepare_isolated(
    input: &PrepareInput,
    mut isolation: Isolation,
    folder: &Path,
    lifeline: &Lifeline,
    show: &(dyn Fn(Event) + Send + Sync),
) -> Result<PrepareOutput> {
    // Beside the folder: the version's user can replace everything in it, also by links to the server's files.
    let file = folder.with_extension("json");
    let written = write_input(input, &file, folder, isolation.user);
    written.with_context(|| format!("cannot write `{}`", folder.display()))?;
    let process_env = ProcessEnv::of_process().for_installers(Inherited::Server);
    visible_files::add_tools(&mut isolation, &process_env);
    let process_env = FOLDERS
        .iter()
        .fold(process_env, |process_env, (name, below)| process_env.with(*name, folder.join(below)));
    let process_env = visible_files::with_toolchains(&mut isolation, process_env);
    isolation.kept.push(file.clone());
    isolation.writable.push(folder.to_owned());
    let reply = Mutex::new(None);
    let on_line = |line: &str| match serde_json::from_str(line) {
        Ok(Message::Event(event)) => show(event),
        Ok(message) => *reply.lock().expect("nothing panics with it") = Some(message),
        Err(_) => tracing::debug!("{line}"),
    };
    let arguments = vec!["prepare".into(), file, folder.into()];
    let exit = run_isolated(arguments, process_env.texts().collect(), isolation, lifeline, &on_line).await;
    match reply.into_inner().expect("nothing panics with it") {
        Some(Message::Made(output)) => {
            exit.context("the process that makes what nodes run in failed")?;
            let all = (input.pythons.len(), input.executables.len());
            ensure!(
                (output.interpreters.len(), output.executables.len()) == all,
                "the process that makes what nodes run in did not make all of it"
            );
            Ok(output)
        }
        Some(Message::Failed { message, hints }) => {
            Err(hints.iter().rev().fold(Error::new(message), Error::hint))
        }
        Some(Message::Event(_)) | None => {
            exit.context("the process that makes what nodes run in failed")?;
            bail!("the process that makes what nodes run in ended without a result")
        }
    }
}

/// Writes the input to a file, and creates the folder, which it gives to the version's user.
fn write_input(input: &PrepareInput, file: &Path, folder: &Path, user: Option<u32>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(file, serde_json::to_vec(input)?)?;
    let Some(user) = user else { return Ok(()) };
    visible_files::let_read(file)?;
    change_owner(folder, user)
}

/// Changes the owner of a folder and its content. No process of the version runs that could change it meanwhile.
fn change_owner(path: &Path, user: u32) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            change_owner(&entry?.path(), user)?;
        }
    }
    if about.uid() == user { Ok(()) } else { lchown(path, Some(user), Some(user)) }
}

/// Prepares the nodes that the file `input` lists; [`prepare_isolated`] starts the process that runs this.
pub(crate) async fn prepare(input: &Path, folder: &Path) -> Result<()> {
    let message = match run(input, folder).await {
        Ok(output) => Message::Made(output),
        Err(error) => Message::Failed { message: error.messages(), hints: error.hints().to_vec() },
    };
    send(&message)
}

async fn run(input: &Path, folder: &Path) -> Result<PrepareOutput> {
    let input: PrepareInput = serde_json::from_slice(&fs::read(input)?)?;
    for (_, below) in FOLDERS {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join(below))?;
    }
    let show = |event| {
        // Nobody reads it: the server has ended, and its guard ends this process.
        let _ = send(&Message::Event(event));
    };
    let executables = Executables::new(folder.to_owned()).prepare(&input.executables, &show).await?;
    let environments = Environments::new(folder.to_owned(), input.python).with_files(Files::Fixed);
    let interpreters = environments.prepare(&input.pythons, &input.root, &show).await?;
    Ok(PrepareOutput { interpreters, executables })
}

fn send(message: &Message) -> Result<()> {
    output::print_data(&serde_json::to_string(message)?)
}
