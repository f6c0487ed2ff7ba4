//! Tests of `krt doctor` and `krt --version --verbose`.

use crate::support::{CommandOutput, krt, run, run_with};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};
use tempfile::TempDir;

/// A `PATH` with programs that print these lines.
fn machine(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, line) in programs {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{line}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn doctor(path: &Path, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"] {
        command.env_remove(name);
    }
    command.arg("doctor").args(arguments).env("PATH", path).env("HOME", path);
    run_with(command, "")
}

fn programs(report: &Value, name: &str) -> Vec<Value> {
    let programs = report["programs"].as_array().unwrap();
    programs.iter().filter(|program| program["name"] == name).cloned().collect()
}

#[test]
fn found_old_and_missing_programs_are_told_apart() {
    let machine = machine(&[
        ("uv", "uv 0.13.8"),
        ("go", "go version go1.19.8 linux/amd64"),
        ("apt-get", "apt 2.6.1 (amd64)"),
    ]);
    let ended = doctor(machine.path(), &["--json"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let uv = serde_json::json!({
        "name": "uv",
        "state": "found",
        "version": "0.13.8",
        "path": machine.path().join("uv"),
        "purpose": "creates environments of Python nodes several times faster than pip",
    });
    assert_eq!(programs(&report, "uv"), [uv]);
    let state = |name: &str| {
        let [program] = &*programs(&report, name) else { panic!("{name}: {report}") };
        (program["state"].as_str().unwrap().to_owned(), program["install"].as_str().unwrap_or("").to_owned())
    };
    let own = |state: &str, install: &str| (state.to_owned(), install.to_owned());
    assert_eq!(state("go"), own("too_old", "download it from https://go.dev/dl"));
    assert_eq!(state("cargo"), own("missing", "follow https://rustup.rs"));
    assert_eq!(state("python"), own("missing", "sudo apt-get install python3 python3-venv"));
    assert_eq!(report["krt"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["krt"]["node_protocol"], 1);
}

#[test]
fn people_read_what_is_missing_and_how_to_install_it() {
    let machine = machine(&[("uv", "uv 0.13.8"), ("brew", "Homebrew 5.0.1")]);
    let ended = doctor(machine.path(), &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let found = ended.stdout.lines().find(|line| line.starts_with("  uv 0.13.8 ")).unwrap_or_default();
    assert_eq!(found.split_whitespace().next_back(), machine.path().join("uv").to_str(), "{}", ended.stdout);
    for text in
        ["  go: builds nodes in Go\n    to install it: brew install go\n", "  python: runs nodes in Python\n"]
    {
        assert!(ended.stdout.contains(text), "{}", ended.stdout);
    }
}

#[test]
fn this_machines_python_is_found() {
    let ended = run(["doctor", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let pythons = programs(&report, "python");
    assert!(pythons.iter().all(|python| python["state"] == "found"), "{report}");
    assert!(Path::new(pythons[0]["path"].as_str().unwrap()).is_file(), "{report}");
}

#[test]
fn the_version_may_be_verbose() {
    let short = format!("krt {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [&["--version"][..], &["-V"]] {
        assert_eq!(run(arguments).stdout, short);
    }
    for arguments in [["--version", "--verbose"], ["--verbose", "--version"]] {
        let ended = run(arguments);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
        let rest = ended.stdout.strip_prefix(&short).unwrap();
        let names: Vec<_> = rest.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(names, ["commit", "platform", "node protocol", "features"]);
    }
    assert_eq!(run(["--verbose", "schema"]).code, Some(2));
}
