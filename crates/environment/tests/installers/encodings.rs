//! Requirements in other encodings, and projects of packages that are unpacked again for each run.

use crate::machine::{Machine, evaluate, nodes};
use krt_environment::{Error, Files, Interpreter};
use std::{fs, path::Path};

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn requirements_in_any_encoding_that_pip_knows_are_installed() {
    let machine = Machine::new(&[]);
    machine.write("a/requirements.txt", "");
    let file = machine.root.path().join("a/requirements.txt");
    for (bytes, version) in [
        (utf16("-r ../more.txt\r\n"), "1.0"),
        (b"\xef\xbb\xbfalpha==2.0\r\n".to_vec(), "2.0"),
        (b"# -*- coding: latin-1 -*-\nalpha==1.0  # f\xfcr a\n".to_vec(), "1.0"),
    ] {
        fs::write(machine.root.path().join("more.txt"), utf16("alpha==1.0  # ä")).unwrap();
        fs::write(&file, bytes).unwrap();
        let made = machine.prepare(&["a/main.py"]).await.unwrap();
        assert_eq!(evaluate(&made[0].python, "__import__('alpha').version"), version);
    }
    fs::write(&file, utf16("-r ../more.txt\r\n")).unwrap();
    fs::write(machine.root.path().join("more.txt"), utf16("alpha==2.0  # ä")).unwrap();
    let made = machine.prepare(&["a/main.py"]).await.unwrap();
    assert_eq!(evaluate(&made[0].python, "__import__('alpha').version"), "2.0", "an included file changed");
    fs::write(&file, b"alpha\n# f\xfcr a\n").unwrap();
    let error = machine.prepare(&["a/main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::NotText { .. }), "{error}");
    let text = krt_model::hint::line(&error);
    assert!(
        text.contains("a/requirements.txt") && text.contains("line 2") && text.contains("; hint: "),
        "{text}"
    );
}

async fn unpacked(machine: &Machine, root: &Path) -> Interpreter {
    let on_event = |event| machine.events.lock().unwrap().push(event);
    let environments = machine.environments().with_files(Files::Fixed);
    environments.prepare(&nodes(&["a/main.py"]), root, &on_event).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_editable_project_of_an_archive_has_one_environment() {
    let machine = Machine::new(&[("a/requirements.txt", "-e ../lib\nalpha==1.0")]);
    machine.write_project("lib", "sample");
    let unpack = || {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/requirements.txt", "lib/pyproject.toml", "lib/backend.py"] {
            let target = root.path().join(file);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(machine.root.path().join(file), target).unwrap();
        }
        root
    };
    let (first, second) = (unpack(), unpack());
    let made = unpacked(&machine, first.path()).await;
    drop(first);
    let again = unpacked(&machine, second.path()).await;
    assert_eq!((&made, machine.made_and_reused()), (&again, (1, 1)));
    assert_eq!(evaluate(&again.python, "__import__('sample').version"), "1.0", "its files are there");
    machine.write_project("lib", "changed");
    let third = unpack();
    let changed = unpacked(&machine, third.path()).await;
    assert_ne!(changed.python, made.python);
    assert_eq!(evaluate(&changed.python, "__import__('changed').version"), "1.0");
}
