//! macOS: `ps` lists the processes below a guard.
//!
//! No process adopts orphans: a daemon, which has left the program's process group and whose parent has ended, is not
//! found. No process can be pinned to processors.

use super::{
    Guards, Usage,
    ps::{self, Process},
};
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use std::{
    io::{self, Read as _},
    process::{Command, Stdio},
    time::Duration,
};

/// The interval of memory checks: each starts a process.
pub(crate) const MEMORY_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Only Linux has a counterpart.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

/// The system itself refuses to attach to programs of others; its user may attach to this one.
pub(crate) fn hide_memory() -> io::Result<()> {
    Ok(())
}

/// Only Linux has a counterpart. The engine warns of the limit.
pub(crate) fn keep_to(_thousandths: u32, _pid: Option<Pid>) -> io::Result<()> {
    Ok(())
}

/// Kills the program's process group, and all processes below this one. Returns whether there are any. No program forks
/// workers here, so there are no other guards.
pub(crate) fn kill(program: Pid, _except: &Guards) -> bool {
    // Both fail when the processes have ended by themselves.
    let _ = kill_process_group(program, Signal::KILL);
    let below = below(getpid().as_raw_nonzero().get());
    for process in &below {
        let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, Signal::KILL));
    }
    !below.is_empty()
}

/// No guard outlives its program here.
pub(crate) fn started_below(_pid: u32) -> Option<u64> {
    None
}

/// The resident memory of all processes below this one, in bytes. Shared pages count once per process.
pub(crate) fn memory(_limit: u64, _except: &Guards) -> u64 {
    in_use(getpid().as_raw_nonzero().get())
}

/// The same of all processes below a guard.
pub fn memory_below(guard: u32, _limit: u64) -> u64 {
    i32::try_from(guard).map_or(0, in_use)
}

/// The memory and the processor time of all processes below a guard.
pub fn usage_below(guard: u32, _except: &Guards, _shares: bool) -> Usage {
    let below = i32::try_from(guard).map_or_else(|_| Vec::new(), below);
    let memory = below.iter().map(|process| process.resident).sum();
    Usage { memory, processor: below.iter().map(|process| process.processor).sum() }
}

/// The memory that processes may still take; unknown here.
pub fn free_memory() -> Option<u64> {
    None
}

/// The memory and the processor time of this process, without its children.
pub fn usage_of_self() -> Usage {
    let all = ps::parse(&list().unwrap_or_default());
    let own = all.iter().find(|process| process.pid == getpid().as_raw_nonzero().get());
    own.map_or_else(Usage::default, |own| Usage { memory: own.resident, processor: own.processor })
}

fn in_use(pid: i32) -> u64 {
    below(pid).iter().map(|process| process.resident).sum()
}

fn below(pid: i32) -> Vec<Process> {
    let listed = list().unwrap_or_default();
    ps::below(&ps::parse(&listed), pid)
}

/// The guard reaps every child, so this does not wait for `ps`; the end of its output is enough.
fn list() -> io::Result<String> {
    let mut command = Command::new("/bin/ps");
    command.args(["-axo", "pid=,ppid=,rss=,time="]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut listed = String::new();
    child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut listed)?;
    Ok(listed)
}
