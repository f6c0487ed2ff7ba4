//! Python environments with clients from PyPI.

use super::skipped;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Prevents two tests from building the same environment at once.
static BUILD_LOCK: Mutex<()> = Mutex::new(());

/// Returns the interpreter of an environment with packages from PyPI, each with its version, such as
/// `pymongo==3.13.0`. It is installed once, below `target/clients`. `None` without Python.
pub fn python(packages: &[&str]) -> Option<PathBuf> {
    let _alone = BUILD_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    fs::create_dir_all(&folder).unwrap();
    let name = packages.join("-").replace("==", "-").replace(['[', ']', ','], "-");
    let environment = folder.canonicalize().unwrap().join(name);
    let python = environment.join("bin/python");
    if !environment.join("ready").exists() {
        if Command::new("python3").arg("--version").output().is_err() {
            skipped("a client", "python3");
            return None;
        }
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        succeed(Command::new(&python).args(pip).args(packages));
        fs::write(environment.join("ready"), "").unwrap();
    }
    Some(python)
}

/// Runs a command, which must succeed.
pub fn succeed(command: &mut Command) {
    let ended = command.output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}: {out}{errors}");
}
