//! Nodes that import undeclared packages.

use crate::machine::{Machine, evaluate, nodes};
use krt_environment::{Error, Finding, Step};
use krt_model::hint;
use krt_model::severity::Severity;

/// The reported events, except progress.
fn notes(machine: &Machine) -> Vec<String> {
    let text = |step| match step {
        Step::Note(text) | Step::Warning(text) => Some(text),
        _ => None,
    };
    machine.events().into_iter().filter_map(|event| text(event.step)).collect()
}

#[tokio::test]
async fn nodes_without_declarations_get_packages_of_the_old_images() {
    let machine = Machine::new(&[
        (
            "src/a/main.py",
            "import numpy\nfrom helper import x\ntry:\n  import yaml\nexcept ImportError:\n  yaml = None",
        ),
        ("src/a/helper.py", "def x():\n  from sklearn import svm"),
    ]);
    let made = machine.prepare(&["src/a/main.py"]).await.unwrap();
    let has = |module: &str| {
        evaluate(&made[0].python, &format!("bool(__import__('importlib.util').util.find_spec('{module}'))"))
    };
    assert_eq!(["numpy", "sklearn", "pandas"].map(has), ["True", "True", "False"], "exactly what it imports");
    let version = evaluate(&made[0].python, "__import__('numpy').version");
    let is_old = made[0].version.release()[1] < 12;
    assert_eq!(version, if is_old { "1.0" } else { "2.0" }, "{}", made[0].version);
    let notes = notes(&machine);
    assert!(notes.len() == 1 && notes[0].contains("`numpy`, `scikit-learn`"), "{notes:?}");
    machine.prepare(&["src/a/main.py"]).await.unwrap();
    assert_eq!(machine.made_and_reused(), (0, 1));
}

#[tokio::test]
async fn dependencies_are_as_old_as_their_packages() {
    let machine = Machine::new(&[("a/main.py", "import pandas")]);
    let made = machine.prepare(&["a/main.py"]).await.unwrap();
    let version = |module: &str| evaluate(&made[0].python, &format!("__import__('{module}').version"));
    assert_eq!(version("numpy"), version("pandas"));
}

#[tokio::test]
async fn undeclared_imports_fail_before_the_installation() {
    let machine = Machine::new(&[
        ("src/a/main.py", "import numpy\n\nimport yaml"),
        ("src/b/main.py", "import fastapi.responses"),
    ]);
    let error = machine.prepare(&["src/a/main.py", "src/b/main.py"]).await.unwrap_err();
    let text = hint::line(&error);
    for words in [
        "src/a/main.py:3:1: node `a` imports `yaml`",
        "`src/a/requirements.txt` with the lines `PyYAML`, `numpy`",
        "src/b/main.py:1:1: node `b` imports `fastapi`",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(machine.folders().is_empty());
}

#[tokio::test]
async fn finished_environments_reveal_missing_declarations() {
    let machine = Machine::new(&[
        ("a/requirements.txt", "alpha\nbeta"),
        ("a/main.py", "import alpha, beta\nimport google.protobuf\nimport pandas\ndef f():\n  import numpy"),
    ]);
    let error = machine.prepare(&["a/main.py"]).await.unwrap_err();
    let Error::Undeclared(findings) = &error else { panic!("{error}") };
    assert_eq!(findings.len(), 1);
    assert!(hint::line(&error).contains("; hint: add the line `pandas` to `a/requirements.txt`"), "{error}");
    machine.write("a/requirements.txt", "alpha\nbeta\npandas");
    machine.prepare(&["a/main.py"]).await.unwrap();
    let notes = notes(&machine);
    assert!(notes.iter().any(|note| note.contains("imports `numpy`")), "a warning: {notes:?}");
}

async fn examined(machine: &Machine) -> Vec<Finding> {
    let on_event = |event| machine.events.lock().unwrap().push(event);
    machine.environments().examine(&nodes(&["a/main.py"]), machine.root.path(), &on_event).await.unwrap()
}

/// A file beside the node and its text, the node's source, the findings, and the number of environments
/// created.
type Row = (&'static str, &'static str, &'static str, &'static [(Severity, &'static str)], usize);

#[tokio::test]
async fn checks_install_environments_only_if_necessary() {
    let rows: &[Row] = &[
        ("requirements.txt", "alpha", "import alpha", &[], 0),
        ("requirements.txt", "scikit-learn\nPillow", "import sklearn.svm, PIL.Image", &[], 0),
        (
            "requirements.txt",
            "alpha",
            "import numpy",
            &[(Severity::Error, "add the line `numpy` to `a/requirements.txt`")],
            1,
        ),
        (
            "Pipfile",
            "[packages]\nalpha = '*'",
            "import cv2",
            &[(Severity::Error, "add `opencv-python = \"*\"` to `[packages]` of `a/Pipfile`")],
            1,
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['alpha']",
            "import yaml",
            &[(Severity::Error, "add `\"PyYAML\"` to `dependencies` of `a/pyproject.toml`")],
            1,
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nalpha = '*'",
            "import dateutil",
            &[(Severity::Error, "add `python-dateutil = \"*\"` to `[tool.poetry.dependencies]`")],
            1,
        ),
        ("requirements.txt", "alpha", "def f():\n  import numpy", &[(Severity::Warning, "numpy")], 1),
        (
            "requirements.txt",
            "alpha",
            "import sys\nsys.path.append('/x')\nimport numpy",
            &[(Severity::Warning, "numpy")],
            1,
        ),
        ("requirements.txt", "missing", "import numpy", &[(Severity::Warning, "")], 1),
        ("other.txt", "", "import joblib", &[(Severity::Note, "a/requirements.txt")], 0),
        ("other.txt", "", "import yaml", &[(Severity::Error, "PyYAML")], 0),
        ("other.txt", "", "import shared", &[(Severity::Error, "shared")], 0),
        ("shared.py", "", "import shared", &[], 0),
    ];
    for (file, text, source, expected, made) in rows {
        let machine = Machine::new(&[(&format!("a/{file}"), text), ("a/main.py", source)]);
        let found = examined(&machine).await;
        let matches = found.len() == expected.len()
            && found
                .iter()
                .zip(*expected)
                .all(|(found, (severity, hint))| found.severity == *severity && found.hint.contains(hint));
        assert!(matches, "{file} {text} {source}: {found:#?}");
        assert_eq!(machine.made_and_reused().0, *made, "{file} {text} {source}");
    }
    let mut machine = Machine::new(&[("a/requirements.txt", "alpha"), ("a/main.py", "import numpy")]);
    machine.python = None;
    let found = examined(&machine).await;
    assert!(
        found.len() == 1
            && found[0].severity == Severity::Warning
            && found[0].message.contains("found no Python"),
        "{found:?}"
    );
}
