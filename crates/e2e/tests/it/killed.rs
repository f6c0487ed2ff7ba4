//! Compilers and installers end with the `krt` that started them, however it ends.

use crate::support::{
    Copy,
    krt::command,
    processes,
    scratch::{self, Scratch},
};
use rustix::process::Signal;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A build script that says which process it is, and never ends.
const SCRIPT: &str = r#"fn main() {
    let file = std::path::Path::new(&std::env::var("E2E_SCRATCH").unwrap()).join("builder");
    std::fs::write(file, std::process::id().to_string()).unwrap();
    loop {
        std::thread::park();
    }
}
"#;

/// The same as a build backend.
const BACKEND: &str = "\
import os
import signal


def build_wheel(*args, **settings):
    with open(os.path.join(os.environ[\"E2E_SCRATCH\"], \"builder\"), \"w\") as file:
        file.write(str(os.getpid()))
    signal.pause()
";

const WITHOUT_DEPENDENCIES: &str = "[package]
name = \"mark\"
version = \"0.1.0\"
edition = \"2024\"

[workspace]
";

/// Starts `krt` with a scratch folder for what it starts. A shell ignores SIGINT for what it starts in the background.
fn start(word: &str, package: &Path, scratch: &Scratch) -> Child {
    let krt = command();
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(krt.get_program()).arg(word).arg(package);
    for (name, value) in krt.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env(scratch::VARIABLE, scratch.path()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ends `krt` while it builds a package, and waits for the end of all that it started.
async fn ends_by(signal: Signal, word: &str, package: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let scratch = Scratch::below(folder.path());
    let mut krt = start(word, package, &scratch);
    let builder: i32 = scratch.read("builder").await.parse().unwrap();
    let running = processes::marked(scratch::VARIABLE, scratch.path());
    assert!(running.iter().any(|process| process.pid == builder), "{running:?}");
    processes::signal(krt.id().try_into().unwrap(), signal);
    krt.wait().unwrap();
    processes::gone(scratch::VARIABLE, scratch.path()).await;
}

#[tokio::test]
async fn a_compiler_ends_with_krt() {
    let copy = Copy::of("chain-rust");
    let project = copy.path().join("src/mark");
    fs::write(project.join("build.rs"), SCRIPT).unwrap();
    fs::write(project.join("Cargo.toml"), WITHOUT_DEPENDENCIES).unwrap();
    fs::remove_file(project.join("Cargo.lock")).unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        ends_by(signal, "check", copy.path()).await;
    }
}

#[tokio::test]
async fn an_installer_ends_with_krt() {
    let copy = Copy::of("intruder");
    fs::write(copy.path().join("intruder/backend.py"), BACKEND).unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        ends_by(signal, "check", copy.path()).await;
    }
}
