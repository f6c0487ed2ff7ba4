//! What happens in the virtual machine.

use super::PASSED;
use krt_guard::{
    cgroup::Groups,
    wire::{GuardMessage, Spec, send_descriptors},
};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot},
    termios::tcdrain,
};
use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufRead as _, BufReader, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

const SELF: &str = "/proc/self/exe";
const GROUPS: &str = "/sys/fs/cgroup";
/// The memory limit of the workers, bytes.
const MEMORY: u64 = 64 << 20;

/// Prepares the machine, and runs engines: in the root group, as in a container, and in one of its own, as a
/// service.
pub(super) fn first_process() {
    // It has /dev/null.
    for (kind, place) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", GROUPS)] {
        mount(kind, place, kind, MountFlags::empty(), c"").unwrap();
    }
    let service = Path::new(GROUPS).join("service");
    fs::create_dir(&service).unwrap();
    let in_root = Command::new(SELF).arg("engine").stdin(Stdio::null()).status();
    // The root's controllers reach the service's group only if the root passes them on.
    fs::write(Path::new(GROUPS).join("cgroup.subtree_control"), "+memory +cpu").unwrap();
    fs::write(service.join("cgroup.procs"), "0").unwrap();
    let mut of_service = Command::new(SELF).arg("engine").stdin(Stdio::piped()).spawn().unwrap();
    // An engine that is not alone in its group cannot move.
    fs::write(Path::new(GROUPS).join("cgroup.procs"), "0").unwrap();
    of_service.stdin.take().unwrap().write_all(b"\n").unwrap();
    let in_service = of_service.wait();
    if [in_root, in_service].iter().all(|ended| ended.as_ref().is_ok_and(ExitStatus::success)) {
        println!("{PASSED}");
    }
    // The machine would take what is on its way to the console with it.
    tcdrain(File::options().write(true).open("/dev/console").unwrap()).unwrap();
    reboot(RebootCommand::PowerOff).unwrap();
}

/// Starts workers within limits, and checks how they end.
pub(super) fn engine() {
    std::io::stdin().lines().next();
    let groups = Groups::find().expect("the machine allows groups");
    let megabytes = |number: u64| ((MEMORY * number / 100) >> 20).to_string();
    let ended = |act: &str, number: String| ended(&groups, act, &number);
    let is_well = GuardMessage::Ended { status: 0, out_of_memory: false };
    assert_eq!(ended("keep", megabytes(50)), is_well);
    assert_eq!(ended("limit", MEMORY.to_string()), is_well);
    for act in ["keep", "spread"] {
        let GuardMessage::Ended { status, out_of_memory } = ended(act, megabytes(200)) else {
            panic!("{act}")
        };
        assert!(out_of_memory && ExitStatus::from_raw(status).signal() == Some(9), "{act}: {status}");
    }
    // No guard is left, so these are all processes of this program.
    let own = fs::read_link(SELF).unwrap();
    let is_process = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit();
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(is_process);
    let programs = entries.filter_map(|entry| fs::read_link(entry.path().join("exe")).ok());
    assert_eq!(programs.filter(|program| *program == own).count(), 2, "the first process and this one");
    groups.remove();
}

/// Runs a worker to its end.
fn ended(groups: &Groups, act: &str, number: &str) -> GuardMessage {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut guard = start_guard(theirs.into());
    send_descriptors(&ours, &[File::open("/proc/version").unwrap().as_fd()]).unwrap();
    let spec = Spec {
        program: SELF.into(),
        arguments: ["work", act, number].map(Into::into).to_vec(),
        folder: "/".into(),
        memory: Some(MEMORY),
        files: [Some(64), Some(64)],
        groups: Some(groups.clone()),
        group: act.to_owned(),
        ..Spec::default()
    };
    (&ours).write_all(&spec.encode().unwrap()).unwrap();
    let mut messages = BufReader::new(&ours).lines();
    let mut next = || serde_json::from_str(&messages.next().unwrap().unwrap()).unwrap();
    assert!(matches!(next(), GuardMessage::Started { .. }), "{act}");
    let ended = next();
    assert!(guard.wait().unwrap().success());
    println!("{act} {number}: {ended:?}");
    ended
}

fn start_guard(input: OwnedFd) -> Child {
    Command::new(SELF).arg("worker").stdin(input).spawn().unwrap()
}

/// A worker's part.
pub(super) fn work(act: &str, number: u64) {
    match act {
        "keep" => drop(black_box(memory(number))),
        // Only together they are above the limit, and only some of them would be killed one by one.
        "spread" => {
            let part = (number / 4).to_string();
            let start = |_| Command::new(SELF).args(["work", "hold", &part]).spawn().unwrap();
            let all: Vec<Child> = (0..4).map(start).collect();
            all.into_iter().for_each(|mut child| drop(child.wait()));
        }
        "hold" => {
            let held = memory(number);
            loop {
                std::thread::park();
                black_box(&held);
            }
        }
        "limit" => assert_eq!(own("memory.max").trim(), number.to_string()),
        act => panic!("{act}"),
    }
}

/// Takes megabytes of memory, and writes to them.
fn memory(megabytes: u64) -> Vec<u8> {
    vec![1; usize::try_from(megabytes << 20).unwrap()]
}

/// A file of this process's group.
fn own(name: &str) -> String {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap();
    let group = group.trim().strip_prefix("0::/").unwrap();
    fs::read_to_string(Path::new(GROUPS).join(group).join(name)).unwrap()
}
