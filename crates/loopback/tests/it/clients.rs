//! Programs in other languages (`tests/clients`), built and installed once below `target/`.

use krt_servers::{skipped, succeed};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tokio::sync::Mutex;

/// Prevents two tests from building the same program at once.
static BUILD_LOCK: Mutex<()> = Mutex::const_new(());

/// A Python program with its packages from PyPI. `None` without Python.
pub(crate) fn python(program: &str, packages: &[&str]) -> Option<Vec<PathBuf>> {
    Some(vec![krt_servers::python(packages)?, sources().join(program)])
}

/// A Go program with the modules of a file. `None` without Go.
pub(crate) async fn go(package: &str, modules: &str) -> Option<Vec<PathBuf>> {
    let _alone = BUILD_LOCK.lock().await;
    if Command::new("go").arg("version").output().is_err() {
        skipped("a client", "go");
        return None;
    }
    let program = made().join(format!("{package}-{modules}"));
    let build = ["build", "-buildvcs=false", "-mod=readonly", "-modfile", modules, "-o"];
    succeed(
        Command::new("go")
            .args(build)
            .arg(&program)
            .arg(format!("./{package}"))
            .current_dir(sources().join("go")),
    );
    Some(vec![program])
}

/// Runs a program, which must succeed; returns its output.
pub(crate) async fn run(program: &[PathBuf], arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(&program[0]);
    let ended = command.args(&program[1..]).args(arguments).kill_on_drop(true).output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program:?}: {errors}");
    String::from_utf8(ended.stdout).unwrap()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn made() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}
