//! Reads the list of processes that `ps -axo pid=,ppid=,rss=,time=` prints.

use std::time::Duration;

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    /// Resident memory, in bytes.
    pub(super) resident: u64,
    /// Processor time.
    pub(super) processor: Duration,
}

/// The processes of the list.
pub(super) fn parse(list: &str) -> Vec<Process> {
    let process = |line: &str| {
        let mut fields = line.split_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let kilobytes: u64 = fields.next()?.parse().ok()?;
        let processor = processor_time(fields.next()?)?;
        Some(Process { pid, parent, resident: kilobytes << 10, processor })
    };
    list.lines().filter_map(process).collect()
}

/// Reads minutes, seconds and hundredths, with hours before them where `ps` writes them: `75:02.50`, `1:15:02.50`.
fn processor_time(text: &str) -> Option<Duration> {
    let (before, seconds) = text.rsplit_once(':')?;
    let minutes =
        before.split(':').try_fold(0u32, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?;
    let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Some(Duration::from_secs(60 * u64::from(minutes)) + seconds)
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
            "    1     0   100   0:01.00\n   20     1     4   0:00.10\n  300    20     8  75:02.50\n  301   300     1 1:15:02.50\n  400     1     2   0:00.00\nx\n",
        );
        let found: Vec<_> = below(&all, 20).iter().map(|process| (process.pid, process.resident)).collect();
        assert_eq!(found, [(300, 8 << 10), (301, 1 << 10)]);
        let processor: Vec<_> = below(&all, 20).iter().map(|process| process.processor).collect();
        assert_eq!(processor, [Duration::from_millis(4_502_500); 2]);
        assert_eq!(below(&all, 400), []);
        // A pid may have been used again while the list was made.
        let circle = parse("5 6 1 0:00.00\n6 5 1 0:00.00\n");
        assert_eq!(below(&circle, 5).len(), 2);
    }
}
