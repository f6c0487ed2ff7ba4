//! Reads the list of processes that `ps -axo pid=,ppid=,rss=` prints.

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    /// Resident memory, in bytes.
    pub(super) resident: u64,
}

/// The processes of the list.
pub(super) fn parse(list: &str) -> Vec<Process> {
    let process = |line: &str| {
        let mut fields = line.split_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let kilobytes: u64 = fields.next()?.parse().ok()?;
        Some(Process { pid, parent, resident: kilobytes << 10 })
    };
    list.lines().filter_map(process).collect()
}

/// The processes below one.
pub(super) fn below(all: &[Process], root: i32) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut level = vec![root];
    while !level.is_empty() {
        let is_next = |process: &&Process| {
            level.contains(&process.parent) && found.iter().all(|known| known.pid != process.pid)
        };
        let next: Vec<Process> = all.iter().filter(is_next).copied().collect();
        level = next.iter().map(|process| process.pid).collect();
        found.extend(next);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_below_a_process() {
        let all = parse(
            "    1     0   100\n   20     1     4\n  300    20     8\n  301   300     1\n  400     1     2\nx\n",
        );
        let found: Vec<_> = below(&all, 20).iter().map(|process| (process.pid, process.resident)).collect();
        assert_eq!(found, [(300, 8 << 10), (301, 1 << 10)]);
        assert_eq!(below(&all, 400), []);
        // A pid may have been used again while the list was made.
        let circle = parse("5 6 1\n6 5 1\n");
        assert_eq!(below(&circle, 5).len(), 2);
    }
}
