//! Process 1, as which a container's entrypoint runs.
//!
//! The kernel makes process 1 the parent of every orphaned process, and process 1 must reap them, or they
//! remain as zombies. The program itself cannot wait for arbitrary processes, since that would take the exit
//! status of its workers from the code that waits for them. So the program runs in a child, and process 1
//! only forwards signals and reaps. The kernel kills all remaining processes when process 1 exits.

use crate::terminal;
use futures::future::select_all;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait},
    termios::tcsetpgrp,
};
use std::{
    io::{self, IsTerminal as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};
use tokio::signal::unix::{self, SignalKind};

/// The forwarded signals.
const SIGNALS: [Signal; 7] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];

/// If this is process 1, runs the program in a child and exits as the child does. Returns `None` if this
/// process itself should run the program.
pub(crate) fn run() -> Option<ExitCode> {
    if std::process::id() != 1 {
        return None;
    }
    let watched = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(watch()));
    watched.inspect_err(not_started).ok()
}

fn not_started(error: &io::Error) {
    terminal::print_warning_with_hint(
        &format!(
            "krt is process 1 and cannot start a child of its own ({error}): processes whose parent ends stay as \
             zombies"
        ),
        "`docker run --init`, or `init: true` in a compose file",
    );
}

async fn watch() -> io::Result<ExitCode> {
    // Registered before the child starts, so that no end of a child is missed.
    let mut ended = unix::signal(SignalKind::child())?;
    let mut signals = Vec::new();
    for signal in SIGNALS {
        signals.push((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
    }
    let child = start()?;
    loop {
        let next = signals.iter_mut().map(|(signal, came)| {
            Box::pin(async {
                came.recv().await;
                *signal
            })
        });
        tokio::select! {
            _ = ended.recv() => if let Some(code) = reap(child) {
                return Ok(code);
            },
            // Fails if the child has ended, which the next iteration detects.
            (signal, ..) = select_all(next) => drop(kill_process(child, signal)),
        }
    }
}

/// Starts this program again in its own process group, so that a terminal sends Ctrl-C to the child alone.
/// Otherwise the child would receive it twice: from the terminal and from this process.
fn start() -> io::Result<Pid> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    arguments.next().into_iter().for_each(|name| {
        command.arg0(name);
    });
    let child = command.args(arguments).process_group(0).spawn()?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let terminal = io::stdin();
    if terminal.is_terminal() {
        // Fails if the terminal is not this session's; then it sends no signals here.
        let _ = tcsetpgrp(&terminal, child);
    }
    Ok(child)
}

/// Reaps all ended children; returns the status of `child` if it is among them.
fn reap(child: Pid) -> Option<ExitCode> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => code = Some(code_of(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

/// The equivalent exit code; for a signal, the one that shells use.
fn code_of(status: WaitStatus) -> ExitCode {
    let code = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
