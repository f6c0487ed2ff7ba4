//! The process that asks for a package: it starts another one and receives its messages.

use crate::frame::{self, Frame};
use crate::{COMMAND, limits};
use krt_package::reading::{Message, ReadRequest, Reading, Step};
use krt_package::{Error, ReaderExit};
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of the process's standard error is kept, in bytes.
const MAX_STDERR: u64 = 4 << 10;

/// Ends the process that reads a package, or keeps it from starting.
#[derive(Debug, Clone, Default)]
pub struct CancelHandle(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    child: Option<Child>,
}

/// Cancels on drop, as with a cancelled future.
#[derive(Debug)]
pub struct CancelOnDrop(CancelHandle);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

/// The process's pipes. The process ends when `stdin` closes.
struct Pipes {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl CancelHandle {
    /// Ends the process now.
    pub fn now(&self) {
        let mut state = self.lock();
        state.is_cancelled = true;
        // Fails when the process has ended.
        let _ = state.child.as_mut().map(Child::kill);
    }

    /// Returns a guard that cancels on drop.
    #[must_use]
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process, unless it was cancelled.
    fn start(&self) -> io::Result<Option<Pipes>> {
        let mut state = self.lock();
        if state.is_cancelled {
            return Ok(None);
        }
        let mut child = command()?.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        state.child = Some(child);
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Some(Pipes { stdin, stdout, stderr }))
    }

    /// Ends the process, which has closed its output or is no longer useful, and waits for it.
    fn end(&self) -> io::Result<(ExitStatus, bool)> {
        let mut state = self.lock();
        let child = state.child.take();
        let status = child.map_or_else(|| Ok(ExitStatus::default()), |mut child| child.wait());
        Ok((status?, state.is_cancelled))
    }
}

/// This program once more, with an empty environment.
fn command() -> io::Result<Command> {
    let mut command = Command::new(own()?);
    command.arg0("krt").arg(COMMAND).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C goes to this process only, which then decides.
    command.process_group(0);
    Ok(command)
}

/// This program, even if its file was replaced meanwhile.
fn own() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Reads a package in a process of its own.
pub(crate) fn read(request: &ReadRequest, cancel: &CancelHandle) -> Result<Reading, Error> {
    let Some(Pipes { mut stdin, mut stdout, stderr }) = cancel.start().map_err(Error::Start)? else {
        return Err(Error::Ended { step: Step::Read, why: ReaderExit::Cancelled });
    };
    // Fails when the process has ended, which is detected next.
    let _ = frame::write(&mut stdin, &request.encode());
    let (mut step, outcome) = receive(&mut stdout);
    drop(stdin);
    let mut stderr_text = String::new();
    let _ = stderr.take(MAX_STDERR).read_to_string(&mut stderr_text);
    let (status, is_cancelled) = cancel.end().map_err(Error::Start)?;
    let why = match outcome {
        ReadOutcome::Done(reading) => return Ok(*reading),
        ReadOutcome::Failed(error) => return Err(error),
        ReadOutcome::TooLong => ReaderExit::Size { limit: limits::MAX_ANSWER.into() },
        ReadOutcome::End if is_cancelled => ReaderExit::Cancelled,
        ReadOutcome::End => exit_reason(status, &stderr_text, &step),
    };
    if matches!(why, ReaderExit::Size { .. }) {
        step = Step::Read;
    }
    Err(Error::Ended { step, why })
}

/// The outcome.
enum ReadOutcome {
    Done(Box<Reading>),
    Failed(Error),
    TooLong,
    End,
}

/// Receives messages until an answer or the end; also returns the last step.
fn receive(stdout: &mut ChildStdout) -> (Step, ReadOutcome) {
    let mut last = Step::Read;
    loop {
        let message = match frame::read(stdout, limits::MAX_ANSWER) {
            Frame::Whole(bytes) => Message::decode(&bytes),
            Frame::TooLong => return (last, ReadOutcome::TooLong),
            Frame::End => return (last, ReadOutcome::End),
        };
        match message {
            Some(Message::Step(step)) => last = step,
            Some(Message::Done(reading)) => return (last, ReadOutcome::Done(reading)),
            Some(Message::Failed(failure)) => return (last, ReadOutcome::Failed(failure.into())),
            None => return (last, ReadOutcome::End),
        }
    }
}

const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
const KILL: i32 = rustix::process::Signal::KILL.as_raw();

/// Why the process ended. Rust's runtime prints the reason before it aborts.
fn exit_reason(status: ExitStatus, stderr: &str, step: &Step) -> ReaderExit {
    let memory = ReaderExit::Memory { limit: limits::MEMORY };
    match (status.signal(), limits::time(step)) {
        (Some(XCPU), Some(limit)) => ReaderExit::Time { limit },
        // The kernel's OOM killer sends this signal.
        (Some(KILL), _) => memory,
        _ if stderr.contains("overflowed its stack") => ReaderExit::Depth,
        _ if stderr.contains("memory allocation of") => memory,
        _ => ReaderExit::Failed { reason: reason(status, stderr) },
    }
}

/// The first line that the process printed, or else its exit status.
fn reason(status: ExitStatus, stderr: &str) -> String {
    let line = stderr.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| status.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_a_reason() {
        let compile = Step::Compile { file: "a.proto".to_owned() };
        let memory = ReaderExit::Memory { limit: limits::MEMORY };
        let failed = |reason: &str| ReaderExit::Failed { reason: reason.to_owned() };
        for (status, stderr, step, expected) in [
            (XCPU, "", &compile, ReaderExit::Time { limit: 10 }),
            (XCPU, "", &Step::Read, ReaderExit::Time { limit: 60 }),
            (KILL, "", &compile, memory.clone()),
            (6, "\nthread '<unnamed>' has overflowed its stack\nfatal", &compile, ReaderExit::Depth),
            (6, "memory allocation of 8 bytes failed\n", &compile, memory),
            (1 << 8, "\nthread panicked at x.rs:1:\nwhy", &compile, failed("thread panicked at x.rs:1:")),
            (11, "", &compile, failed("signal: 11 (SIGSEGV)")),
        ] {
            assert_eq!(exit_reason(ExitStatus::from_raw(status), stderr, step), expected);
        }
    }

    #[test]
    fn abandoned_reads_start_no_process() {
        let cancel = CancelHandle::default();
        drop(cancel.on_drop());
        assert!(cancel.start().unwrap().is_none());
    }
}
