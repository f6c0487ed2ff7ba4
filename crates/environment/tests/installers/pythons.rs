//! The choice among several interpreters for a node.

use crate::machine::{Machine, evaluate, python_of};
use krt_environment::{Error, Step};
use krt_model::hint;
use krt_servers::skipped;
use std::{os::unix::fs::symlink, path::Path};

/// A machine where 3.11 is the default Python, and pyenv has 3.9 and 3.10; `None` if the real machine lacks
/// one of them.
fn machine(files: &[(&str, &str)]) -> Option<Machine> {
    let mut machine = Machine { python: None, ..Machine::new(files) };
    let tools = machine.cache.path().join("tools");
    let link = |version: &str, path: &Path| {
        std::fs::create_dir_all(path.parent()?).ok()?;
        symlink(python_of(version)?, path).ok()
    };
    let linked = link("3.11", &tools.join("bin/python3"))
        .and_then(|()| link("3.10", &tools.join("versions/3.10.1/bin/python")))
        .and_then(|()| link("3.9", &tools.join("versions/3.9.1/bin/python")));
    if linked.is_none() {
        skipped("the choice among Pythons", "Python 3.9, 3.10 or 3.11");
        return None;
    }
    machine.set("PATH", tools.join("bin"));
    machine.set("PYENV_ROOT", &tools);
    machine.set("UV_PYTHON_INSTALL_DIR", "/nothing");
    Some(machine)
}

fn findings(machine: &Machine) -> Vec<(bool, String)> {
    let text = |step| match step {
        Step::Note(text) => Some((false, text)),
        Step::Warning(text) => Some((true, text)),
        _ => None,
    };
    machine.events().into_iter().filter_map(|event| text(event.step)).collect()
}

#[tokio::test]
async fn each_node_gets_the_python_that_its_files_require() {
    let files = [
        ("a/Pipfile", "[packages]\nalpha = '*'\n[requires]\npython_version = '3.10'"),
        ("b/pyproject.toml", "[project]\nrequires-python = '>=3.9,<3.10'"),
        ("c/requirements.txt", "alpha"),
        ("c/setup.cfg", "[options]\npython_requires = <3.11"),
        ("d/requirements.txt", "alpha"),
        ("e/requirements.txt", "alpha"),
        ("e/.python-version", "3.9.18"),
        ("f/requirements.txt", "alpha"),
        ("f/.python-version", "3.5"),
    ];
    let Some(mut machine) = machine(&files) else { return };
    let sources = ["a", "b", "c", "d", "e", "f"].map(|node| format!("{node}/main.py"));
    let made = machine.prepare(&sources.each_ref().map(String::as_str)).await.unwrap();
    let version = |at: usize| evaluate(&made[at].python, "'%d.%d' % sys.version_info[:2]");
    assert_eq!([0, 1, 2, 3, 4, 5].map(version), ["3.10", "3.9", "3.10", "3.11", "3.9", "3.11"]);
    let findings = findings(&machine);
    assert!(
        findings.iter().any(|(_, text)| text.contains("node `a`: `a/Pipfile` asks for Python `==3.10.*`")),
        "{findings:?}"
    );
    machine.python = python_of("3.11");
    let error = machine.prepare(&["a/main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::RequiresPython { found: Some(_), .. }), "{error}");
    assert!(hint::line(&error).contains("versions/3.10.1/bin/python"), "{error}");
    machine.prepare(&["e/main.py"]).await.unwrap();
}

#[tokio::test]
async fn pins_without_a_wheel_select_a_python_with_one() {
    let Some(mut machine) = machine(&[("a/requirements.txt", "gamma==1.0\nalpha==1.0")]) else { return };
    let made = machine.prepare(&["a/main.py"]).await.unwrap();
    assert_eq!(evaluate(&made[0].python, "'%d.%d' % sys.version_info[:2]"), "3.10");
    let sentence = "gamma 1.0 has no wheel for Python 3.11; Python 3.9 to 3.10 would do; found 3.10 at";
    let notes = findings(&machine);
    assert!(notes.len() == 1 && !notes[0].0 && notes[0].1.contains(sentence), "{notes:?}");
    assert_eq!(machine.prepare(&["a/main.py"]).await.unwrap(), made, "it is remembered");
    machine.python = python_of("3.11");
    let error = machine.prepare(&["a/main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::Install { .. }) && hint::line(&error).contains(sentence), "{error}");
    let warnings = findings(&machine);
    assert!(warnings.iter().any(|(warns, text)| *warns && text.contains(sentence)), "before: {warnings:?}");
    machine.write("a/requirements.txt", "gamma==1.0 ; python_version < '3.10'\nalpha==1.0");
    machine.prepare(&["a/main.py"]).await.unwrap();
    assert_eq!(findings(&machine), [], "pins for another Python are ignored");
}
