//! A control group of version 2 for each worker, where permitted: the kernel then kills all its processes at
//! once, and limits their memory and processor time together.
//!
//! Groups are created below the engine's own one, in a subtree that was delegated to it (`Delegate=yes` of
//! systemd, a container with a writable `/sys/fs/cgroup`). Without one, the guard enforces what it can by
//! itself.

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The controllers that enforce limits.
const CONTROLLERS: [&str; 2] = ["memory", "cpu"];
/// The period of the processor limit, in microseconds.
const PERIOD: u64 = 100_000;

/// The parent of workers' groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    folder: PathBuf,
    /// The group of the guards.
    own: PathBuf,
    /// The available ones of [`CONTROLLERS`].
    controllers: Vec<String>,
}

/// The group of one worker, removed on drop.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    own: PathBuf,
    limits_memory: bool,
    limits_cpu: bool,
}

impl Groups {
    /// Prepares groups below this process's own one; `None` where that is not permitted.
    pub fn find() -> Option<Self> {
        let mounted = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mine = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own_folder(&mounted, &mine)?;
        sweep(&own);
        Self::below(&own).inspect_err(|_| drop(fs::remove_dir(place(&own)))).ok()
    }

    fn below(own: &Path) -> io::Result<Self> {
        let folder = place(own);
        fs::create_dir_all(&folder)?;
        // A kernel before 5.14 cannot kill a group.
        fs::metadata(folder.join("cgroup.kill"))?;
        let offered = fs::read_to_string(own.join("cgroup.controllers"))?;
        let offered: Vec<_> = CONTROLLERS.into_iter().filter(|name| has_word(&offered, name)).collect();
        let (own, controllers) = match offered.is_empty() {
            true => (own.to_owned(), Vec::new()),
            false => enable(own, &folder, &offered),
        };
        // Moving a process also requires write access to the group above both.
        fs::OpenOptions::new().write(true).open(own.join("cgroup.procs"))?;
        Ok(Self { folder, own, controllers })
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// Kills all processes in the group of a worker whose guard is gone.
    pub fn kill(&self, name: &str) {
        let folder = self.folder.join(name);
        // The group does not exist where it could not be created.
        let _ = write(&folder.join("cgroup.kill"), "1");
        let _ = fs::remove_dir(folder);
    }

    /// Removes the groups that [`find`](Self::find) created. The last guards do so, too.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.folder);
    }

    /// Moves this process to those of the other guards.
    pub(crate) fn join_guards(&self) -> io::Result<()> {
        write(&self.own.join("cgroup.procs"), "0")
    }

    /// Creates the group of a worker.
    pub(crate) fn create(&self, name: &str, memory: Option<u64>, cpu: Option<u32>) -> io::Result<Group> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        // The guard of the last worker has removed the parent, and a new one passes no controllers on.
        let passed: Vec<_> = self.controllers.iter().map(|name| format!("+{name}")).collect();
        if !passed.is_empty() {
            write(&self.folder.join("cgroup.subtree_control"), &passed.join(" "))?;
        }
        let memory = memory.filter(|_| self.has("memory"));
        let cpu = cpu.filter(|_| self.has("cpu"));
        let (limits_memory, limits_cpu) = (memory.is_some(), cpu.is_some());
        let group = Group { folder, own: self.own.clone(), limits_memory, limits_cpu };
        if let Some(memory) = memory {
            group.write("memory.max", &memory.to_string())?;
            group.write("memory.oom.group", "1")?;
            // Exists only where the system has swap.
            let _ = group.write("memory.swap.max", "0");
        }
        if let Some(cpu) = cpu {
            group.write("cpu.max", &share(cpu))?;
        }
        Ok(group)
    }
}

impl Group {
    /// Moves this process into the group, so that its next child starts in the group.
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.write("cgroup.procs", "0")
    }

    /// Moves another process into the group.
    pub(crate) fn add(&self, process: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &process.as_raw_nonzero().to_string())
    }

    /// Moves this process out again.
    pub(crate) fn leave(&self) -> io::Result<()> {
        write(&self.own.join("cgroup.procs"), "0")
    }

    /// Kills all processes in it.
    pub(crate) fn kill(&self) {
        let _ = self.write("cgroup.kill", "1");
    }

    /// Whether the kernel enforces a memory limit.
    pub(crate) fn limits_memory(&self) -> bool {
        self.limits_memory
    }

    /// Whether the kernel enforces a processor limit.
    pub(crate) fn limits_cpu(&self) -> bool {
        self.limits_cpu
    }

    /// Whether the kernel has killed a process in it for memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        self.limits_memory && counts_kills(&events)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.folder.join(name), text)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
        // Fails while other workers have groups; the last guard removes it.
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}

/// The parent of the groups of an engine's workers.
fn place(own: &Path) -> PathBuf {
    own.join(format!("{}{}", prefix(), std::process::id()))
}

/// The prefix of the names of engines' groups with the same view of processes: engines in other PID
/// namespaces may have the same id and the same groups above them.
fn prefix() -> String {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("krt-{number}-")
}

/// Removes empty groups of engines and guards that were killed.
fn sweep(own: &Path) {
    let prefix = prefix();
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let workers = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            workers.for_each(|worker| drop(fs::remove_dir(worker.path())));
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Enables the controllers for groups below `folder`. A group with such children must not have processes of
/// its own, so the engine moves to a group beside them, unless its group has other processes. Returns the
/// engine's group and the controllers that are available.
fn enable(own: &Path, folder: &Path, offered: &[&str]) -> (PathBuf, Vec<String>) {
    let stays = (own.to_owned(), Vec::new());
    let is_root = !own.join("cgroup.type").exists();
    let moved = if is_root { Some(own.to_owned()) } else { step_aside(own) };
    let Some(moved) = moved else { return stays };
    let enabled = |name: &&&str| {
        let word = format!("+{name}");
        let enable = |folder: &Path| write(&folder.join("cgroup.subtree_control"), &word);
        enable(own).and_then(|()| enable(folder)).is_ok()
    };
    let controllers = offered.iter().filter(enabled).map(|name| (*name).to_owned()).collect();
    (moved, controllers)
}

/// Moves this process to a child of its own group, if no other process is in its group.
fn step_aside(own: &Path) -> Option<PathBuf> {
    let inside = fs::read_to_string(own.join("cgroup.procs")).ok()?;
    if inside.split_whitespace().ne([std::process::id().to_string().as_str()]) {
        return None;
    }
    let aside = own.join("krt-engine");
    fs::create_dir_all(&aside).ok()?;
    write(&aside.join("cgroup.procs"), "0").ok()?;
    Some(aside)
}

/// The value of `cpu.max`: microseconds of each period.
fn share(thousandths: u32) -> String {
    format!("{} {PERIOD}", u64::from(thousandths) * PERIOD / 1_000)
}

fn counts_kills(events: &str) -> bool {
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok();
    events.lines().find_map(count).is_some_and(|kills| kills > 0)
}

/// The folder of a process's control group of version 2, below the mount point of the file system.
fn own_folder(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let group = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let inside = Path::new(group).strip_prefix(root).ok()?;
        right.starts_with("cgroup2 ").then(|| Path::new(point).join(inside))
    };
    mountinfo.lines().find_map(mount)
}

/// Returns the memory that this process's group and those above it leave free; `None` if no limit applies.
#[cfg(target_os = "linux")]
pub(crate) fn free_memory() -> Option<u64> {
    let mounted = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mine = fs::read_to_string("/proc/self/cgroup").ok()?;
    free_below(&own_folder(&mounted, &mine)?)
}

/// Returns the memory that a group and those above it leave free. Pages of files count as free if they were not used
/// lately.
#[cfg(target_os = "linux")]
fn free_below(group: &Path) -> Option<u64> {
    let free = |group: &Path| {
        let read = |file: &str| fs::read_to_string(group.join(file)).ok();
        let number = |text: String| text.trim().parse::<u64>().ok();
        let (most, used) = (number(read("memory.max")?)?, number(read("memory.current")?)?);
        let stat = read("memory.stat").unwrap_or_default();
        let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
        Some(most.saturating_sub(used.saturating_sub(files.unwrap_or_default())))
    };
    group.ancestors().filter_map(free).min()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|found| found == word)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_narrowest_group_decides_on_free_memory() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("slice/service");
        fs::create_dir_all(&group).unwrap();
        let put = |group: &Path, max: &str, current: &str, stat: &str| {
            for (file, text) in [("memory.max", max), ("memory.current", current), ("memory.stat", stat)] {
                fs::write(group.join(file), format!("{text}\n")).unwrap();
            }
        };
        assert_eq!(free_below(&group), None);
        put(&group, "max", "5000", "");
        assert_eq!(free_below(&group), None);
        put(group.parent().unwrap(), "10000", "7000", "anon 4000\ninactive_file 2500\nactive_file 500");
        assert_eq!(free_below(&group), Some(5500));
        put(&group, "6000", "5000", "inactive_file 0");
        assert_eq!(free_below(&group), Some(1000));
        put(&group, "6000", "7000", "");
        assert_eq!(free_below(&group), Some(0));
    }

    #[test]
    fn the_folder_of_the_own_group() {
        let mounts = "\
24 1 0:22 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
";
        let groups = "4:memory:/other\n0::/system.slice/krt.service\n";
        let expected = Path::new("/sys/fs/cgroup/unified/system.slice/krt.service");
        assert_eq!(own_folder(mounts, groups).as_deref(), Some(expected));
        assert_eq!(own_folder(mounts, "4:memory:/other\n"), None);
        assert_eq!(own_folder("", groups), None);
        let of_container = "31 24 0:27 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(own_folder(of_container, "0::/docker/x\n"), Some(PathBuf::from("/sys/fs/cgroup/")));
        assert_eq!(own_folder(of_container, "0::/docker/y\n"), None);
    }

    #[test]
    fn formats_of_control_files() {
        assert_eq!(share(500), "50000 100000");
        assert_eq!(share(2_000), "200000 100000");
        assert!(counts_kills("low 0\noom 1\noom_kill 2\n"));
        assert!(!counts_kills("low 0\noom 1\noom_kill 0\noom_group_kill 0\n"));
    }

    /// Checks which files are written; their effect is up to the kernel.
    #[test]
    fn limits_are_written_for_available_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("worker");
        fs::create_dir(&worker).unwrap();
        let passed = folder.path().join("cgroup.subtree_control");
        fs::write(&passed, "").unwrap();
        let files = ["memory.max", "memory.oom.group", "memory.swap.max", "cpu.max"];
        files.iter().for_each(|name| fs::write(worker.join(name), "").unwrap());
        let groups = |controllers: &[&str]| Groups {
            folder: folder.path().to_owned(),
            own: folder.path().to_owned(),
            controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
        };
        let read = || files.map(|name| fs::read_to_string(worker.join(name)).unwrap());
        groups(&[]).create("worker", Some(1 << 20), Some(500)).unwrap();
        assert_eq!(
            (read(), &*fs::read_to_string(&passed).unwrap()),
            (["", "", "", ""].map(str::to_owned), "")
        );
        let group = groups(&CONTROLLERS).create("worker", Some(1 << 20), Some(500)).unwrap();
        assert_eq!(read(), ["1048576", "1", "0", "50000 100000"]);
        assert_eq!(fs::read_to_string(&passed).unwrap(), "+memory +cpu");
        assert!(group.limits_memory() && !group.ran_out_of_memory());
        fs::write(worker.join("memory.events"), "oom_kill 1\n").unwrap();
        assert!(group.ran_out_of_memory());
    }
}
