//! Tests that need a reachable package index. Without one, they are skipped.

use crate::machine::{Machine, evaluate, python};
use krt_environment::{Error, ProcessEnv, Step, Tool};
use krt_servers::skipped;
use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// What these tests need.
const INDEX: &str = "a package index that answers";

/// The folder of a `uv`, installed once and kept for later runs of the tests.
static UV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uv");
    let inner = folder.join("bin/python");
    let _alone = File::create(folder.with_extension("lock")).and_then(|file| file.lock().map(|()| file));
    let works =
        |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    let there = works(Command::new(folder.join("bin/uv")).arg("--version"))
        || works(Command::new(python()).args(["-m", "venv", "--clear"]).arg(&folder))
            && works(Command::new(&inner).args(["-m", "pip", "install", "--quiet", "uv"]));
    there.then(|| folder.join("bin"))
});

/// A machine with the user's own index settings, optionally with uv on `PATH`.
fn machine(files: &[(&str, &str)], tool: Tool) -> Option<Machine> {
    let path: OsString = match (&*UV, tool) {
        (None, _) => {
            skipped("the installation of packages", INDEX);
            return None;
        }
        (Some(folder), Tool::Uv) => folder.into(),
        (Some(_), Tool::Pip) => "/nothing".into(),
    };
    let process_env = ProcessEnv::of_process().without(&["VIRTUAL_ENV", "CONDA_PREFIX"]).with("PATH", path);
    Some(Machine { process_env, ..Machine::new(files) })
}

#[tokio::test]
async fn both_installers_take_packages_from_an_index() {
    for tool in [Tool::Uv, Tool::Pip] {
        let files = [("requirements.txt", "six==1.16.0"), ("a/Pipfile", "[packages]\nsix = '==1.17.0'")];
        let Some(machine) = machine(&files, tool) else { return };
        let made = machine.prepare(&["main.py", "a/main.py"]).await.unwrap();
        let version = |index: usize| evaluate(&made[index].python, "__import__('six').__version__");
        assert_eq!([version(0), version(1)], ["1.16.0", "1.17.0"]);
        let protobuf = evaluate(&made[0].python, "__import__('google.protobuf').protobuf.__version__");
        assert_eq!(made[0].protobuf.to_string(), protobuf);
        let used = machine.events().into_iter().find_map(|event| match event.step {
            Step::Creating { tool, .. } => Some(tool),
            _ => None,
        });
        assert_eq!(used, Some(tool));
    }
}

#[tokio::test]
async fn both_installers_report_missing_packages() {
    for tool in [Tool::Uv, Tool::Pip] {
        let Some(machine) = machine(&[("a/requirements.txt", "six==0.0.0.dev99")], tool) else { return };
        let error = machine.prepare(&["a/main.py"]).await.unwrap_err();
        assert!(matches!(&error, Error::Install { tool: used, .. } if *used == tool), "{error}");
        assert!(error.to_string().contains("six==0.0.0.dev99"), "{error}");
        assert!(machine.folders().is_empty());
    }
}

#[tokio::test]
async fn uv_accepts_pip_settings_and_translated_files() {
    let files = [
        ("a/requirements.txt", "alpha==1.0\n./project"),
        (
            "b/Pipfile",
            "[[source]]\nurl = 'https://u:s3cret@127.0.0.1:9/simple'\nverify_ssl = false\n[packages]\nalpha = '*'\nsample = {path = '../a/project', editable = true}",
        ),
        ("b/Pipfile.lock", r#"{"default": {"alpha": {"version": "==1.0"}}}"#),
    ];
    let Some(uv) = &*UV else { return skipped("uv", INDEX) };
    let mut machine = Machine::new(&files);
    machine.set("PATH", uv);
    machine.write_project("a/project", "sample");
    let made = machine.prepare(&["a/main.py", "b/main.py"]).await.unwrap();
    for made in &made {
        assert_eq!(evaluate(&made.python, "__import__('alpha').version"), "1.0");
        assert_eq!(evaluate(&made.python, "__import__('sample').version"), "1.0");
        assert_eq!(made.protobuf.to_string(), "4.25.8");
    }
    let events = machine.events();
    assert!(events.iter().any(|event| matches!(event.step, Step::Creating { tool: Tool::Uv, .. })));
    let found = Command::new("grep").args(["-rl", "s3cret"]).arg(machine.cache.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[tokio::test]
async fn uv_installed_in_the_interpreter_is_used() {
    let Some(mut machine) = machine(&[], Tool::Pip) else { return };
    machine.python = UV.as_ref().map(|folder| folder.join("python"));
    let made = machine.prepare(&["main.py"]).await.unwrap();
    assert!(made[0].environment.is_some());
    let events = machine.events();
    assert!(events.iter().any(|event| matches!(event.step, Step::Creating { tool: Tool::Uv, file: None })));
}
