//! Linux: `/proc` lists the processes below a guard.
//!
//! A guard is a subreaper, so every process that was ever started below it is in the tree, whatever
//! sessions and process groups it created.

use super::{Guards, Usage};
use rustix::{
    param::clock_ticks_per_second,
    process::{
        DumpableBehavior, Pid, Signal, getpid, kill_process, set_child_subreaper, set_dumpable_behavior,
    },
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use std::{fs, io, time::Duration};

/// The interval of memory checks, where the kernel does not enforce the limit.
pub(crate) const MEMORY_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The depth limit of a scan; killing ancestors brings deeper processes up.
const MAX_DEPTH: usize = 64;

/// Makes this process the parent of processes below it whose own parent ends.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Keeps other processes of this user away from this one's memory.
pub(crate) fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Pins a process and its children to as many processors as the limit rounds up to; `None`: this process.
pub(crate) fn keep_to(thousandths: u32, pid: Option<Pid>) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let wanted = usize::try_from(thousandths.div_ceil(1_000)).unwrap_or(usize::MAX);
    // Spreads workers over the processors.
    let first = usize::try_from(std::process::id()).unwrap_or(0);
    let mut set = CpuSet::new();
    for index in 0..wanted.min(all.len()) {
        set.set(all[(first + index) % all.len()]);
    }
    sched_setaffinity(pid, &set)?;
    Ok(())
}

/// All processes below one, by its id or `self`, but for these guards and what is below them.
fn below(pid: &str, except: &Guards) -> Vec<i32> {
    let mut found = Vec::new();
    let children = |pid: &str| {
        let mut children = children(pid);
        children.retain(|&pid| u32::try_from(pid).is_ok_and(|pid| !except.contains(&pid)));
        children
    };
    let mut level = children(pid);
    for _ in 0..MAX_DEPTH {
        if level.is_empty() {
            break;
        }
        let next = level.iter().flat_map(|pid| children(&pid.to_string())).collect();
        found.append(&mut level);
        level = next;
    }
    found
}

/// The children of all threads of a process.
fn children(pid: &str) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Kills all processes below this one, those of the program among them, but for these guards and what is below them.
/// Returns whether there are any.
pub(crate) fn kill(_program: Pid, except: &Guards) -> bool {
    let below = below("self", except);
    let are_any = !below.is_empty();
    for pid in below.into_iter().filter_map(Pid::from_raw) {
        // Fails when the process has ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    are_any
}

/// When a process below this one was started, in ticks of the clock: no other one had its id then.
pub(crate) fn started_below(pid: u32) -> Option<u64> {
    let pid = i32::try_from(pid).ok().filter(|pid| below("self", &Guards::new()).contains(pid))?;
    start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `starttime` (proc(5)).
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19)?.parse().ok()
}

/// The memory in use by all processes below this one, as [`memory_below`], but for these guards and what is below them.
pub(crate) fn memory(limit: u64, except: &Guards) -> u64 {
    in_use("self", limit, except)
}

/// The memory in use by all processes below a guard, in bytes, as a control group would count it.
///
/// Reads a fast sum first, which counts a shared page once per process. Only if that exceeds `limit`, reads
/// the exact figure.
pub fn memory_below(guard: u32, limit: u64) -> u64 {
    in_use(&guard.to_string(), limit, &Guards::new())
}

fn in_use(pid: &str, limit: u64, except: &Guards) -> u64 {
    let below = below(pid, except);
    let sum = |of: fn(i32) -> Option<u64>| below.iter().filter_map(|&pid| of(pid)).sum();
    let quick: u64 = sum(resident);
    if quick <= limit { quick } else { sum(proportional) }
}

/// The memory and the processor time of all processes below a guard, but for these guards and what is below them. If they
/// share memory with others, each shared page is divided among its processes; that takes longer to read.
pub fn usage_below(guard: u32, except: &Guards, shares: bool) -> Usage {
    let below = below(&guard.to_string(), except);
    let of = if shares { proportional } else { resident };
    let memory = below.iter().filter_map(|&pid| of(pid)).sum();
    let ticks: u64 = below.iter().filter_map(|&pid| ticks(pid)).sum();
    Usage { memory, processor: duration(ticks) }
}

/// The memory that processes may still take: of the machine, and of the control groups of this process.
pub fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.map(|text| kilobytes(&text, "MemAvailable:")).filter(|free| *free > 0);
    machine.into_iter().chain(crate::cgroup::free_memory()).min()
}

/// The memory and the processor time of this process, without its children.
pub fn usage_of_self() -> Usage {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let pid = getpid().as_raw_nonzero().get();
    Usage { memory: resident(pid).unwrap_or(0), processor: duration(processor_time(&stat, 2).unwrap_or(0)) }
}

/// The processor time of a process and of its children that it has waited for, in ticks of the clock.
fn ticks(pid: i32) -> Option<u64> {
    processor_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 4)
}

/// The sum of the first `count` of `utime`, `stime`, `cutime` and `cstime` (proc(5)). A program's name may have spaces and
/// parentheses.
fn processor_time(stat: &str, count: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').skip(11).take(count).map(|time| time.parse::<u64>().ok()).sum()
}

fn duration(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Resident memory that is not backed by a file.
fn resident(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(kilobytes(&text, "RssAnon:") + kilobytes(&text, "RssShmem:"))
}

/// The same, with each shared page divided among its processes.
fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    text.map(|text| kilobytes(&text, "Pss_Anon:") + kilobytes(&text, "Pss_Shmem:")).or_else(|| resident(pid))
}

/// The bytes on the line with this name.
fn kilobytes(text: &str, name: &str) -> u64 {
    let number = |line: &str| line.trim().trim_end_matches(" kB").parse::<u64>().ok();
    text.lines().find_map(|line| number(line.strip_prefix(name)?)).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let text = "Name:\tpython\nRssAnon:\t    2048 kB\nRssFile:\t   1 kB\n";
        assert_eq!(kilobytes(text, "RssAnon:"), 2 << 20);
        assert_eq!(kilobytes(text, "RssShmem:"), 0);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 183 2 0 0 40 3 200 10 20 0 1 0 77";
        assert_eq!((processor_time(stat, 4), processor_time(stat, 2)), (Some(253), Some(43)));
        assert_eq!(processor_time("7", 4), None);
        assert_eq!((start_time(stat), start_time("7")), (Some(77), None));
    }

    #[test]
    fn usage_counts_children() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let used = loop {
            let used = usage_below(std::process::id(), &Guards::new(), false);
            if used.processor >= Duration::from_millis(50) {
                break used;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(used.memory > 0, "{used:?}");
    }

    #[test]
    fn usage_of_this_process() {
        let before = usage_of_self();
        while usage_of_self().processor < before.processor + Duration::from_millis(20) {}
        assert!(before.memory > 0, "{before:?}");
    }
}
