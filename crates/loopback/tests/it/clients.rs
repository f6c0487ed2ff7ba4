//! Programs in other languages (`tests/clients`), built and installed once below `target/`.

use krt_servers::skipped;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tokio::sync::Mutex;

/// Prevents two tests from building the same program at once.
static BUILD_LOCK: Mutex<()> = Mutex::const_new(());

/// A Python program with its packages from PyPI. `None` without Python.
pub(crate) async fn python(program: &str, packages: &[&str]) -> Option<Vec<PathBuf>> {
    let _alone = BUILD_LOCK.lock().await;
    let environment = made().join(packages.join("-").replace("==", "-"));
    let python = environment.join("bin/python");
    if !environment.join("ready").exists() {
        if Command::new("python3").arg("--version").output().is_err() {
            skipped("a client", "python3");
            return None;
        }
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        done(Command::new(&python).args(pip).args(packages));
        fs::write(environment.join("ready"), "").unwrap();
    }
    Some(vec![python, sources().join(program)])
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
    done(
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

fn done(command: &mut Command) {
    let ended = command.output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}: {out}{errors}");
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn made() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}
