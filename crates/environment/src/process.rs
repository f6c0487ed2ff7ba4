//! Runs an installer or compiler in a process group of its own, which ends with the future.

use crate::output::Output;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::timeout,
};

/// How long to wait for output after the process has ended; a leftover child may hold the pipe.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// A command to run.
pub(crate) struct Run<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [OsString],
    /// Its complete environment.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Its working directory.
    pub(crate) folder: &'a Path,
    /// An empty file that it keeps open as standard input.
    pub(crate) hold: File,
    /// Where its standard output goes, if it is not part of the lines.
    pub(crate) results: Option<File>,
    /// Receives its lines.
    pub(crate) on_line: &'a (dyn Fn(String) + Send + Sync),
}

/// The result of a run.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// Its last lines.
    pub(crate) output: Vec<String>,
}

impl Run<'_> {
    /// Runs to the end. When dropped before, kills the whole process group and waits until it is dead.
    pub(crate) async fn finish(self) -> io::Result<Finished> {
        let mut output = Output::new(self.on_line);
        let (mut reader, mut group) = self.start()?;
        let mut chunk = vec![0; 8192];
        let status = loop {
            tokio::select! {
                status = group.child.wait() => break status?,
                read = reader.read(&mut chunk) => match read? {
                    0 => break group.child.wait().await?,
                    length => output.take(&chunk[..length]),
                },
            }
        };
        while let Ok(Ok(length @ 1..)) = timeout(OUTPUT_GRACE, reader.read(&mut chunk)).await {
            output.take(&chunk[..length]);
        }
        Ok(Finished { status, output: output.finish() })
    }

    /// Starts the process with one pipe for both outputs, so that their lines stay in order.
    fn start(self) -> io::Result<(Receiver, Group)> {
        let (reader, writer) = io::pipe()?;
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let results = match self.results {
            Some(file) => Stdio::from(file),
            None => writer.try_clone()?.into(),
        };
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.variables)
            .current_dir(self.folder)
            .stdin(Stdio::from(self.hold))
            .stdout(results)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok((Receiver::from_owned_fd(reader.into())?, Group { child, id }))
    }
}

/// A process group, by its leader.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Drop for Group {
    /// Waits for the leader without reaping it, which is the runtime's job: until then its id names no other
    /// process.
    fn drop(&mut self) {
        let running = self.child.id().is_some();
        if let Some(id) = self.id.filter(|_| running) {
            let _ = kill_process_group(id, Signal::KILL);
            let _ = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}
