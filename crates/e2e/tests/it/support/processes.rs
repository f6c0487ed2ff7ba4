//! Inspects the processes of one test in `/proc`: all that have its mark in their environment.

use super::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::Path};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: i32,
    /// Its node; `None` for the engine.
    pub(crate) node: Option<String>,
}

/// All processes whose environment has the variable. Excludes zombies, which have no environment.
pub(crate) fn marked(name: &str, value: &Path) -> Vec<ProcessInfo> {
    let mark = format!("{name}={}", value.display());
    found(|variable| variable == mark)
}

/// All workers with a package below a folder.
pub(crate) fn based(folder: &Path) -> Vec<ProcessInfo> {
    found(|variable| {
        variable.strip_prefix("KRT_BASE_PATH=").is_some_and(|path| Path::new(path).starts_with(folder))
    })
}

fn found(is_it: impl Fn(&str) -> bool) -> Vec<ProcessInfo> {
    let entries = fs::read_dir("/proc").expect("Linux has /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = |pid: i32| {
        let variables = environment(pid);
        let node = variables.iter().find_map(|variable| variable.strip_prefix("KRT_NODE_NAME="));
        variables
            .iter()
            .any(|variable| is_it(variable))
            .then(|| ProcessInfo { pid, node: node.map(str::to_owned) })
    };
    pids.filter_map(found).collect()
}

/// A process's initial environment.
pub(crate) fn environment(pid: i32) -> Vec<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = environment.split(|&byte| byte == 0).filter(|variable| !variable.is_empty());
    variables.map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

/// Whether any process of this machine has this command line.
pub(crate) fn runs(command: &str) -> bool {
    let entries = fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let words: Vec<u8> = command.bytes().map(|byte| if byte == b' ' { 0 } else { byte }).chain([0]).collect();
    lines.any(|line| line == words)
}

/// The targets of a process's descriptors.
pub(crate) fn open_files(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.map(|target| target.display().to_string()).collect()
}

/// All descendants of a process.
pub(crate) fn below(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<i32>>()
    });
    children.flat_map(|child| [vec![child], below(child)].concat()).collect()
}

/// The parent of a process; `None` if the process has ended.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The children of a process, including zombies.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// A process's soft limit of file descriptors.
pub(crate) fn descriptors(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).expect("Linux tells it");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("it is a number")
}

/// Whether a signal has stopped a process, which another signal can continue.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines().any(|line| line.starts_with("State:\tT"))
}

/// Whether a process exists.
pub(crate) fn lives(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until no marked process is left.
pub(crate) async fn gone(name: &str, value: &Path) {
    let what = format!("all processes end that have {name}={}", value.display());
    eventually(&what, async || marked(name, value).is_empty().then_some(())).await;
}

/// Sends a signal; does nothing if the process has ended.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("ids of processes are above 0");
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("process {pid:?} takes no signal: {error}"),
    }
}

/// The resident memory of a process, bytes.
pub(crate) fn resident(pid: i32) -> u64 {
    resident_of(pid).expect("the process lives")
}

/// Like [`resident`], but `None` if the process has ended.
pub(crate) fn resident_of(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB");
    Some(kilobytes << 10)
}
