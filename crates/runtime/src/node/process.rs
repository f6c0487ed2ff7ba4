//! A host's process: how it is started, how it is ended, and what is told of its end.

use super::Node;
use rustix::{
    net::sockopt::set_socket_send_buffer_size,
    process::{Pid, Signal, kill_process_group},
};
use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
};

/// Bytes that may be on their way in one direction of a host's socket.
const SOCKET_BUFFER: usize = 1 << 20;

/// Lets the C library of a host keep the memory of large messages from one to the next: to give it
/// back and ask for it anew costs a third of the time that 1 MiB takes through a Python node. What
/// the user has set counts more.
const ALLOCATOR: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "8388608"), ("MALLOC_TRIM_THRESHOLD_", "33554432")];

/// What is started for a node.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program: an interpreter, or the node's own executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<PathBuf>,
    /// Environment variables beside those that the engine itself has.
    pub environment: Vec<(String, String)>,
    /// Variables of the engine's that it does not see.
    pub hidden: Vec<&'static str>,
    /// Where it runs: the package's root.
    pub folder: PathBuf,
}

/// The read end of a pipe that nobody writes to: its end of file tells hosts that the engine is gone.
///
/// The write end is held by the engine's process alone, and closed by the kernel with it.
#[derive(Debug)]
pub struct Lifeline {
    read: OwnedFd,
    _write: OwnedFd,
}

impl Lifeline {
    /// Makes the pipe. The read end is inherited by every process started from now on.
    pub fn new() -> io::Result<Self> {
        use rustix::{
            io::{FdFlags, fcntl_setfd},
            pipe::{PipeFlags, pipe_with},
        };
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfd(&read, FdFlags::empty())?;
        Ok(Self { read, _write: write })
    }

    fn number(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.read.as_raw_fd()
    }
}

/// A running process, the leader of a process group of its own.
///
/// Dropped, the whole group is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    /// Starts a host; returns the engine's end of its socket.
    pub(super) fn start(node: &Node, lifeline: &Lifeline) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = pair()?;
        let launch = &node.launch;
        let mut command = Command::new(&launch.program);
        for name in &launch.hidden {
            command.env_remove(name);
        }
        let child = command
            .args(&launch.arguments)
            .envs(ALLOCATOR.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()))
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .env("KRT_NODE_PROTOCOL", super::frame::PROTOCOL.to_string())
            .env("KRT_LIFELINE", lifeline.number().to_string())
            .current_dir(&launch.folder)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((Self { child, group }, UnixStream::from_std(ours)?))
    }

    /// The process's standard output and error.
    pub(super) fn take_outputs(
        &mut self,
    ) -> (Option<tokio::process::ChildStdout>, Option<tokio::process::ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for the process to end by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the whole group, and waits for the process.
    pub(super) async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.kill_group();
        self.child.wait().await
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // Fails when nobody is left in the group.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Both ends of a socket. A message of a MiB then takes a handful of turns of the two processes.
fn pair() -> io::Result<(std::os::unix::net::UnixStream, std::os::unix::net::UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for end in [&ours, &theirs] {
        // The system lowers it to what it allows.
        set_socket_send_buffer_size(end, SOCKET_BUFFER)?;
    }
    Ok((ours, theirs))
}

/// How a process ended, in words.
pub(super) fn describe(status: io::Result<ExitStatus>) -> String {
    let status = match status {
        Ok(status) => status,
        Err(error) => return format!("its end is unknown: {error}"),
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => match Signal::from_named_raw(signal).and_then(signal_name) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
        (None, Some(code)) => format!("it exited with status {code}"),
        (None, None) => "its end is unknown".to_owned(),
    }
}

fn signal_name(signal: Signal) -> Option<&'static str> {
    Some(match signal {
        Signal::KILL => "SIGKILL",
        Signal::SEGV => "SIGSEGV, a crash in native code",
        Signal::ABORT => "SIGABRT",
        Signal::TERM => "SIGTERM",
        Signal::BUS => "SIGBUS, a crash in native code",
        Signal::ILL => "SIGILL, a crash in native code",
        Signal::FPE => "SIGFPE, a crash in native code",
        _ => return None,
    })
}
