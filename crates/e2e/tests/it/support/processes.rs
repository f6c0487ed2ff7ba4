//! What `/proc` tells of the processes of one test: all that have its mark in their environment.

use super::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::Path};

/// A process that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    /// The node that it runs; `None` is the engine.
    pub(crate) node: Option<String>,
}

/// All processes whose environment has the variable. One that has ended but was not waited for yet
/// has no environment, and is not found.
pub(crate) fn marked(name: &str, value: &Path) -> Vec<Found> {
    let mark = format!("{name}={}", value.display());
    let entries = fs::read_dir("/proc").expect("Linux has /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variables: Vec<_> = environment.split(|&byte| byte == 0).collect();
        let node = variables.iter().find_map(|variable| variable.strip_prefix(b"KRT_NODE_NAME="));
        variables
            .contains(&mark.as_bytes())
            .then(|| Found { pid, node: node.map(|node| String::from_utf8_lossy(node).into_owned()) })
    })
    .collect()
}

/// Whether there is a process of an id.
pub(crate) fn lives(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until no such process is left.
pub(crate) async fn gone(name: &str, value: &Path) {
    let what = format!("all processes end that have {name}={}", value.display());
    eventually(&what, async || marked(name, value).is_empty().then_some(())).await;
}

/// Sends a signal; to a process that has ended in the meantime, nothing.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("ids of processes are above 0");
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("process {pid:?} takes no signal: {error}"),
    }
}

/// How much memory a process has in use, bytes.
pub(crate) fn resident(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells VmRSS");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB");
    kilobytes << 10
}
