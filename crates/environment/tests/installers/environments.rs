//! Environments of real interpreters with the real pip, without an index.

use crate::machine::{Machine, evaluate, python, python_of};
use krt_environment::{Error, Step, Tool};
use krt_model::hint;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

#[tokio::test]
async fn equal_content_is_installed_once_and_found_again() {
    let machine = Machine::new(&[
        ("src/a/requirements.txt", "alpha==1.0"),
        ("src/b/requirements.txt", "alpha==1.0  # the same"),
        ("src/c/Pipfile", "[packages]\nalpha = '*'\n"),
        ("src/c/Pipfile.lock", r#"{"default": {"alpha": {"version": "==1.0"}}}"#),
        ("src/d/pyproject.toml", "[project]\ndependencies = ['alpha']\n"),
    ]);
    let sources = ["src/a/main.py", "src/b/main.py", "src/c/main.py", "src/d/main.py"];
    let made = machine.prepare(&sources).await.unwrap();
    let versions = made.iter().map(|made| evaluate(&made.python, "__import__('alpha').version"));
    assert_eq!(versions.collect::<Vec<_>>(), ["1.0", "1.0", "1.0", "2.0"]);
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0].protobuf.to_string(), "4.25.8");
    assert_eq!(machine.folders().len(), 3);
    let events = machine.events();
    let creating = events.iter().filter(|event| matches!(event.step, Step::Creating { tool: Tool::Pip, .. }));
    let mut creating: Vec<_> = creating.map(|event| event.nodes.join(" ")).collect();
    creating.sort();
    assert_eq!(creating, ["a b", "c", "d"]);
    assert_eq!(machine.prepare(&sources).await.unwrap(), made);
    assert_eq!(machine.made_and_reused(), (0, 3));
}

#[tokio::test]
async fn at_most_two_environments_are_installed_at_a_time() {
    let files =
        ["a", "b", "c"].map(|name| (format!("{name}/requirements.txt"), format!("# {name}\n./{name}")));
    let machine = Machine::new(&[]);
    for ((path, content), name) in files.iter().zip(["a", "b", "c"]) {
        machine.write(path, content);
        machine.write_project(&format!("{name}/{name}"), name);
    }
    let made = machine.prepare(&["a/main.py", "b/main.py", "c/main.py"]).await.unwrap();
    assert_eq!(made.len(), 3);
    let mut open = 0;
    let mut most = 0;
    for event in machine.events() {
        match event.step {
            Step::Creating { .. } => open += 1,
            Step::Installed { .. } => open -= 1,
            _ => {}
        }
        most = most.max(open);
    }
    assert_eq!((open, most), (0, 2));
}

#[tokio::test]
async fn every_supported_python_can_create_environments() {
    let machine = Machine::new(&[("requirements.txt", "./project")]);
    machine.write_project("project", "sample");
    let pythons = ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"].map(python_of);
    let pythons: Vec<_> = pythons.into_iter().flatten().collect();
    assert!(!pythons.is_empty());
    for python in &pythons {
        let machine = Machine { python: Some(python.clone()), ..machine_like(&machine) };
        let made = machine.prepare(&["src/main.py"]).await.unwrap();
        assert_eq!(evaluate(&made[0].python, "__import__('sample').version"), "1.0");
        let prefix = evaluate(python, "sys.base_prefix");
        assert_eq!(evaluate(&made[0].python, "sys.base_prefix"), prefix);
    }
}

/// Another machine with the same package.
fn machine_like(machine: &Machine) -> Machine {
    let other = Machine::new(&[]);
    let copied =
        Command::new("cp").arg("-r").arg(machine.root.path().join(".")).arg(other.root.path()).status();
    assert!(copied.unwrap().success());
    other
}

#[tokio::test]
async fn failed_installs_name_the_node_and_leave_nothing() {
    let machine = Machine::new(&[("src/greeter/requirements.txt", "no-such-package-anywhere")]);
    let error = machine.prepare(&["src/greeter/main.py"]).await.unwrap_err();
    let text = error.to_string();
    for words in [
        "node `greeter`",
        "src/greeter/requirements.txt",
        "`pip`",
        "no-such-package-anywhere",
        "exit status: 1",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(machine.folders(), Vec::<std::path::PathBuf>::new());
    machine.write("src/greeter/requirements.txt", "alpha");
    machine.prepare(&["src/greeter/main.py"]).await.unwrap();
}

#[tokio::test]
async fn credentials_are_never_shown() {
    let mut machine = Machine::new(&[(
        "good/Pipfile",
        "[[source]]\nname = 'ours'\nurl = 'https://someone:s3cret@127.0.0.1:9/simple'\n[packages]\nalpha = '*'\n",
    )]);
    machine.write("bad/requirements.txt", "--index-url https://someone:s3cret@127.0.0.1:9/simple\nmissing");
    let made = machine.prepare(&["good/main.py"]).await.unwrap();
    let folder = made[0].environment.clone().unwrap();
    let found = Command::new("grep").args(["-rl", "s3cret"]).arg(machine.cache.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{}", folder.display());
    machine.process_env = machine.process_env.clone().without(&["PIP_NO_INDEX"]).with("PIP_RETRIES", "0");
    let error = machine.prepare(&["bad/main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::Install { output, .. } if !output.is_empty()), "{error}");
    assert!(!format!("{error:?} {error} {:?}", machine.events()).contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn protobuf_is_installed_even_with_required_hashes() {
    let machine = Machine::new(&[]);
    let hash = Command::new("sha256sum")
        .arg(machine.archives().join("alpha-1.0-py3-none-any.whl"))
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let hash = hash.split(' ').next().unwrap();
    machine.write("requirements.txt", &format!("alpha==1.0 --hash=sha256:{hash}"));
    let made = machine.prepare(&["main.py"]).await.unwrap();
    assert_eq!(made[0].protobuf.to_string(), "4.25.8");
    machine.write("requirements.txt", &format!("alpha==2.0 --hash=sha256:{hash}"));
    let error = machine.prepare(&["main.py"]).await.unwrap_err();
    assert!(error.to_string().contains("DO NOT MATCH THE HASHES"), "{error}");
}

#[tokio::test]
async fn outdated_protobuf_is_reported() {
    let machine = Machine::new(&[("src/a/requirements.txt", "protobuf==3.5.0")]);
    let error = machine.prepare(&["src/a/main.py"]).await.unwrap_err();
    let text = hint::line(&error);
    assert!(text.contains("node `a`") && text.contains("protobuf 3.5.0"), "{text}");
    assert!(text.contains("; hint: ask for `protobuf"), "{text}");
    assert!(machine.folders().is_empty());
}

#[tokio::test]
async fn interpreters_with_protobuf_are_used_without_requirements() {
    let mut machine = Machine::new(&[]);
    let folder = tempfile::tempdir().unwrap();
    let venv = Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder.path()).status();
    assert!(venv.unwrap().success());
    machine.python = None;
    machine.set("VIRTUAL_ENV", folder.path());
    let before = machine.prepare(&["main.py"]).await.unwrap();
    assert!(before[0].environment.is_some(), "it has no protobuf");
    assert_eq!(machine.made_and_reused(), (1, 0));
    let packages = evaluate(&folder.path().join("bin/python"), "__import__('sysconfig').get_path('purelib')");
    let module = Path::new(&packages).join("google/protobuf");
    fs::create_dir_all(&module).unwrap();
    for (version, used) in [("3.5.2", false), ("3.19.6", true)] {
        fs::write(module.join("__init__.py"), format!("__version__ = '{version}'")).unwrap();
        fs::create_dir(Path::new(&packages).join(format!("protobuf-{version}.dist-info"))).unwrap();
        let made = machine.prepare(&["main.py"]).await.unwrap();
        assert_eq!(made[0].environment.is_none(), used, "{version}");
        assert_eq!(made[0].python == folder.path().join("bin/python"), used, "{version}");
    }
    assert_eq!(machine.made_and_reused(), (0, 1), "nothing is made for an interpreter that does");
}

#[tokio::test]
async fn a_warm_start_starts_no_process() {
    let mut machine = Machine::new(&[("requirements.txt", "alpha")]);
    let log = machine.cache.path().join("log");
    let wrapper = machine.cache.path().join("python3");
    let real = python();
    let script = format!("#!/bin/sh\necho started >>'{}'\nexec '{}' \"$@\"\n", log.display(), real.display());
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    machine.python = Some(wrapper);
    let starts = || fs::read_to_string(&log).unwrap().lines().count();
    let made = machine.prepare(&["main.py"]).await.unwrap();
    assert_eq!(starts(), 1);
    let inner = made[0].python.canonicalize().unwrap();
    assert_eq!(inner, real.canonicalize().unwrap());
    let begun = std::time::Instant::now();
    assert_eq!(machine.prepare(&["main.py"]).await.unwrap(), made);
    println!("warm: {:?}", begun.elapsed());
    assert_eq!(starts(), 1);
    machine.write(".python-version", "3.12");
    machine.prepare(&["main.py"]).await.unwrap();
    assert_eq!(starts(), 2, "a version manager's file may lead to another interpreter");
}

#[tokio::test]
async fn variables_of_the_user_do_not_redirect_the_install() {
    let mut machine = Machine::new(&[("requirements.txt", "alpha")]);
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["PIP_TARGET", "PIP_PREFIX", "PYTHONUSERBASE"] {
        machine.set(name, elsewhere.path());
    }
    machine.set("PIP_USER", "1");
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("pip.py"), "raise SystemExit('the wrong pip')").unwrap();
    machine.set("PYTHONPATH", broken.path());
    let made = machine.prepare(&["main.py"]).await.unwrap();
    assert_eq!(evaluate(&made[0].python, "__import__('alpha').version"), "2.0");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn environments_with_a_missing_interpreter_are_rebuilt() {
    let machine = Machine::new(&[("requirements.txt", "")]);
    let made = machine.prepare(&["main.py"]).await.unwrap();
    fs::remove_file(&made[0].python).unwrap();
    assert_eq!(machine.prepare(&["main.py"]).await.unwrap(), made);
    assert_eq!(machine.made_and_reused(), (2, 0));
}

#[tokio::test]
async fn unsuitable_interpreters_are_reported() {
    let mut machine = Machine::new(&[("Pipfile", "[requires]\npython_version = '3.1'")]);
    let error = machine.prepare(&["main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::RequiresPython { requires, .. } if requires == "==3.1.*"), "{error}");
    for (file, text) in [
        ("missing", ""),
        ("no-python", "#!/bin/sh\necho hello\n"),
        ("fails", "#!/bin/sh\necho oh >&2\nexit 3\n"),
    ] {
        let path = machine.cache.path().join(file);
        if !text.is_empty() {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine.python = Some(path);
        let error = machine.prepare(&["main.py"]).await.unwrap_err();
        assert!(matches!(&error, Error::NoPython { candidates, .. } if candidates.len() == 1), "{error}");
        assert!(error.to_string().contains(file) && !hint::hints(&error).is_empty(), "{error}");
    }
    machine.python = None;
    let error = machine.prepare(&["main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::NoPython { candidates, .. } if candidates.is_empty()), "{error}");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let machine = Machine::new(&[("requirements.txt", "")]);
    fs::write(machine.cache.path().join("environments"), "a file").unwrap();
    let error = machine.prepare(&["main.py"]).await.unwrap_err();
    assert!(matches!(&error, Error::Cache { .. }) && hint::line(&error).contains("KRT_CACHE"), "{error}");
}

#[tokio::test]
async fn no_nodes_need_no_python() {
    let mut machine = Machine::new(&[]);
    machine.python = Some("/nothing/python".into());
    assert_eq!(machine.prepare(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn old_protobuf_is_installed_unless_others_need_a_newer_one() {
    let machine = Machine::new(&[
        ("a/requirements.txt", "alpha"),
        ("b/requirements.txt", "beta"),
        ("c/requirements.txt", "alpha\n-c pins.txt"),
        ("c/pins.txt", "protobuf==6.33.0"),
        ("d/requirements.txt", "protobuf"),
        ("e/main.py", ""),
    ]);
    for (node, version) in
        [("a", "4.25.8"), ("b", "6.33.0"), ("c", "6.33.0"), ("d", "6.33.0"), ("e", "4.25.8")]
    {
        let made = machine.prepare(&[&format!("{node}/main.py")]).await.unwrap();
        assert_eq!(made[0].protobuf.to_string(), version, "{node}");
        let notes = machine.events().into_iter().filter(|event| matches!(event.step, Step::Note(_))).count();
        assert_eq!(notes, usize::from(["b", "c"].contains(&node)), "{node}");
    }
}
