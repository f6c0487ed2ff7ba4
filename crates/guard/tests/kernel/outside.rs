//! Boots the virtual machine with this program and its libraries in memory, and reads its console.

use super::PASSED;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const QEMU: &str = "qemu-system-x86_64";
/// Seconds until a machine that hangs is ended. It runs without the processor's support, which virtual machines
/// lack.
const TIMEOUT: &str = "300";
/// The number of the console's device.
const CONSOLE: (u32, u32) = (5, 1);

pub(super) fn test() -> ExitCode {
    let Some(kernel) = kernel().filter(|_| is_installed(QEMU)) else {
        println!("skipped the limits of control groups: {QEMU} or a kernel in /boot is missing");
        return ExitCode::SUCCESS;
    };
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::write(&files, archive()).unwrap();
    let output = Command::new("timeout")
        .args([TIMEOUT, QEMU, "-accel", "tcg", "-m", "512", "-no-reboot", "-nodefaults", "-nographic"])
        .args(["-serial", "stdio", "-append", "console=ttyS0 panic=-1 quiet", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(files)
        .output()
        .unwrap();
    let console = String::from_utf8_lossy(&output.stdout);
    assert!(console.contains(PASSED), "{console}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{PASSED}");
    ExitCode::SUCCESS
}

fn kernel() -> Option<PathBuf> {
    if let Some(named) = env::var_os("KRT_TEST_KERNEL") {
        return Some(named.into());
    }
    let entries = fs::read_dir("/boot").ok()?.flatten().map(|entry| entry.path());
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz"));
    entries.filter(is_kernel).filter(|path| fs::File::open(path).is_ok()).max()
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The machine's files, in the format that the kernel unpacks: this program as its first process.
fn archive() -> Vec<u8> {
    /// Kinds of files, with their permissions.
    const FOLDER: u32 = 0o040_755;
    const DEVICE: u32 = 0o020_600;
    const PROGRAM: u32 = 0o100_755;
    let own = env::current_exe().unwrap();
    let mut archive = Vec::new();
    for folder in ["dev", "proc", "sys", "tmp"] {
        add(&mut archive, folder, FOLDER, &[], (0, 0));
    }
    add(&mut archive, "dev/console", DEVICE, &[], CONSOLE);
    add(&mut archive, "init", PROGRAM, &fs::read(&own).unwrap(), (0, 0));
    for library in libraries(&own) {
        let above: Vec<_> = library.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        for folder in above.iter().rev() {
            add(&mut archive, relative(folder), FOLDER, &[], (0, 0));
        }
        add(&mut archive, relative(&library), PROGRAM, &fs::read(&library).unwrap(), (0, 0));
    }
    add(&mut archive, "TRAILER!!!", 0, &[], (0, 0));
    archive
}

fn relative(path: &Path) -> &str {
    path.strip_prefix("/").unwrap().to_str().unwrap()
}

/// The files that the dynamic linker loads for a program, and the linker itself.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let words = lines.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// Adds a file to an archive of the format `newc` (see the kernel's `initramfs-buffer-format`).
fn add(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8], device: (u32, u32)) {
    let length = |length: usize| u32::try_from(length).unwrap();
    // The number, the mode, user, group, links, time, size, two devices, the length of the name, a sum.
    let fields =
        [0, mode, 0, 0, 1, 0, length(content.len()), 0, 0, device.0, device.1, length(name.len() + 1), 0];
    archive.extend(b"070701");
    fields.iter().for_each(|field| archive.extend(format!("{field:08x}").bytes()));
    archive.extend(name.bytes().chain([0]));
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
