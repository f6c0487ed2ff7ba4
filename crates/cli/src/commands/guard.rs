//! `krt guard`: starts a program, and ends its process group when standard input closes.
//!
//! Without a program, it only does the latter: installers and compilers run in its group, and end with the `krt` that
//! started them.
//!
//! The engine uses it to start the servers for executables of older runners. These servers do not notice the
//! end of the engine, but the kernel closes the engine's end of the pipe. Workers have a different guard,
//! `krt worker`.

use crate::error::{Context as _, Result};
use clap::Args;
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, kill_process_group, setrlimit};
use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// The arguments of `krt guard`.
#[derive(Debug, Args)]
pub(crate) struct GuardArgs {
    /// The program, unless others are in the process group
    program: Option<PathBuf>,

    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the program to its end, and exits with its status.
pub(crate) fn execute(args: &GuardArgs) -> Result<ExitCode> {
    let Some(program) = &args.program else { return end_group() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(end_as(runtime.block_on(run(program, &args.arguments))?))
}

/// Waits until standard input closes, then kills the process group, which this process leads.
fn end_group() -> Result<ExitCode> {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    kill_process_group(getpid(), Signal::KILL)?;
    Ok(ExitCode::SUCCESS)
}

async fn run(program: &Path, arguments: &[OsString]) -> Result<ExitStatus> {
    // The whole group receives these signals; the program decides how to handle them.
    let _heard = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let started = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let mut child = started.with_context(|| format!("cannot start `{}`", program.display()))?;
    tokio::select! {
        status = child.wait() => Ok(status?),
        () = engine_is_gone() => {
            // This process leads the group, so the signal ends it, too.
            kill_process_group(getpid(), Signal::KILL)?;
            Ok(child.wait().await?)
        }
    }
}

/// Waits until standard input closes; the engine never writes to it. A thread does the reading and ends with
/// this program.
async fn engine_is_gone() {
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        // Fails if the program ended first.
        let _ = gone.send(());
    });
    let _ = is_gone.await;
}

/// Ends by the same signal, or with the same code.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // Avoid a second core file.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        let _ = kill_process(getpid(), signal);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(u8::MAX))
}
