//! Runs an installer or compiler in a process group of its own, which ends with the future, and with this process
//! if there is a guard.

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

/// A program that kills its own process group when its standard input closes. Without one, installers and
/// compilers go on when this process is killed.
#[derive(Debug, Clone, Default)]
pub struct GroupGuard(Vec<OsString>);

impl GroupGuard {
    /// Uses the command `guard` of the running program; on Linux even if its file has been replaced.
    pub fn of_this_program() -> Self {
        let linked = cfg!(target_os = "linux").then(|| "/proc/self/exe".into());
        let program = linked.or_else(|| std::env::current_exe().ok());
        Self(program.into_iter().flat_map(|program| [program.into(), "guard".into()]).collect())
    }

    /// Starts the program as the leader of a process group. This process holds the other end of its standard
    /// input, which the kernel closes with it.
    fn start(&self) -> io::Result<Option<Child>> {
        let Some((program, arguments)) = self.0.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true).spawn().map(Some)
    }
}

/// A command to run.
pub(crate) struct Run<'a> {
    /// Ends it with this process.
    pub(crate) guard: &'a GroupGuard,
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
        let guard = self.guard.start()?;
        let leader = guard.as_ref().and_then(id_of);
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.variables)
            .current_dir(self.folder)
            .stdin(Stdio::from(self.hold))
            .stdout(results)
            .stderr(writer)
            .process_group(leader.map_or(0, |leader| leader.as_raw_nonzero().get()))
            .spawn()?;
        let id = id_of(&child);
        Ok((
            Receiver::from_owned_fd(reader.into())?,
            Group { child, id, leader: leader.or(id), _guard: guard },
        ))
    }
}

fn id_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id()?.try_into().ok()?)
}

/// A command in its process group.
struct Group {
    child: Child,
    id: Option<Pid>,
    leader: Option<Pid>,
    /// Killed, if it still runs, before its standard input closes. So it spares what the command left behind.
    _guard: Option<Child>,
}

impl Drop for Group {
    /// Waits for the command without reaping it, which is the runtime's job: until then its id names no other
    /// process.
    fn drop(&mut self) {
        let is_running = self.child.id().is_some();
        if let (true, Some(id), Some(leader)) = (is_running, self.id, self.leader) {
            let _ = kill_process_group(leader, Signal::KILL);
            let _ = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}
