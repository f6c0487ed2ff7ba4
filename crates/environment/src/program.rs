//! Programs on this machine that krt starts or works beside, with their versions.

use crate::process_env::{ProcessEnv, is_executable};
use pep440_rs::Version;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// How long a program may take to print its version: a version manager's command can hang without a network.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A program, and how it prints its version.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The names of its executable, best first.
    pub names: &'static [&'static str],
    /// Folders to search after those of `PATH`.
    pub folders: &'static [&'static str],
    /// The arguments that make it print its version.
    pub version_arguments: &'static [&'static str],
}

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundProgram {
    /// Its executable.
    pub path: PathBuf,
    /// The version that it prints.
    pub version: Version,
}

impl Program {
    /// Finds the first one that runs: a version manager's command may stand for a missing program.
    pub async fn find(&self, process_env: &ProcessEnv) -> Option<FoundProgram> {
        for path in self.names.iter().flat_map(|name| self.candidates(name, process_env)) {
            let arguments = self.version_arguments.iter().map(OsString::from);
            let command: Vec<OsString> = [path.clone().into()].into_iter().chain(arguments).collect();
            if let Some(version) = version_of(&command, process_env).await {
                return Some(FoundProgram { path, version });
            }
        }
        None
    }

    fn candidates(&self, name: &str, process_env: &ProcessEnv) -> Vec<PathBuf> {
        let elsewhere = self.folders.iter().map(|folder| Path::new(folder).join(name));
        let elsewhere = elsewhere.filter(|path| is_executable(path));
        process_env.commands(name).into_iter().chain(elsewhere).collect()
    }
}

/// Returns the version that a command prints, if it succeeds.
pub(crate) async fn version_of(command: &[OsString], process_env: &ProcessEnv) -> Option<Version> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(process_env.variables())
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(VERSION_TIMEOUT, output).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| first_version(&text)).flatten()
}

/// The first version in a text such as `go version go1.26.8 linux/amd64` or `nats-server: v2.9.10`.
fn first_version(text: &str) -> Option<Version> {
    let words = text.split(|letter: char| letter != '.' && !letter.is_ascii_digit());
    words.map(|word| word.trim_matches('.')).find(|word| word.contains('.'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn the_version_is_found_in_what_programs_print() {
        for (text, version) in [
            ("go version go1.26.8 linux/amd64\n", Some("1.26.8")),
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)\n", Some("1.95.0")),
            ("nats-server: v2.9.10\n", Some("2.9.10")),
            ("uv 0.13.8\n", Some("0.13.8")),
            ("Chromium 156.0.8078.73 built on Debian GNU/Linux 12 (bookworm)\n", Some("156.0.8078.73")),
            ("go version devel go1.27-abc Mon.\n", Some("1.27")),
            ("a program of 2026 without one.\n", None),
            ("", None),
        ] {
            assert_eq!(first_version(text).map(|version| version.to_string()).as_deref(), version, "{text}");
        }
    }

    #[tokio::test]
    async fn programs_that_do_not_run_are_skipped() {
        let machine = tempfile::tempdir().unwrap();
        let script = |folder: &str, text: &str| {
            let path = machine.path().join(folder).join("tool");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        script("shims", "echo 'tool 9.9 is not active'; exit 1");
        script("silent", "true");
        let works = script("bin", "test \"$1\" = --version && echo tool 1.2.3");
        let path = ["shims", "silent", "bin"].map(|folder| machine.path().join(folder));
        let path = std::env::join_paths(path).unwrap();
        let process_env: ProcessEnv = [("PATH", path)].into_iter().collect();
        let tool = Program { names: &["absent", "tool"], folders: &[], version_arguments: &["--version"] };
        let found = FoundProgram { path: works, version: "1.2.3".parse().unwrap() };
        assert_eq!(tool.find(&process_env).await, Some(found));
        let absent = Program { names: &["absent"], ..tool };
        assert_eq!(absent.find(&process_env).await, None);
    }
}
