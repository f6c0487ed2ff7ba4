//! Executables are built once for the same content. Needs `go` and `cargo`.

use crate::machine::run;
use krt_environment::{BuildError, Event, Executable, ExecutableSource, Executables, ProcessEnv, Step};
use krt_model::language::Language;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};
use tempfile::TempDir;

/// A module that uses nothing of the SDK, and a cache.
struct Fixture {
    folder: TempDir,
    node: ExecutableSource,
}

impl Fixture {
    fn new(language: Language) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("etl");
        fs::create_dir(&module).unwrap();
        let fixture = Self {
            node: ExecutableSource {
                name: "etl".to_owned(),
                language,
                folder: module.clone(),
                executable: module.join("bin/etl"),
                root: folder.path().to_owned(),
                module,
            },
            folder,
        };
        if language == Language::GO {
            fixture.put("go.mod", "module etl\n\ngo 1.20\n");
        } else {
            fixture.put("Cargo.toml", "[package]\nname = \"etl\"\nedition = \"2024\"\n\n[workspace]\n");
            fixture.put("Cargo.lock", "version = 4\n\n[[package]]\nname = \"etl\"\nversion = \"0.0.0\"\n");
        }
        fixture.print_word("one");
        fixture
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.node.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Changes the word that the executable prints.
    fn print_word(&self, word: &str) {
        if self.node.language == Language::GO {
            self.put("main.go", &format!("package main\n\nfunc main() {{ println({word:?}) }}\n"));
        } else {
            self.put("src/main.rs", &format!("fn main() {{\n    eprintln!({word:?});\n}}\n"));
        }
    }

    /// Calls an undefined function in line 3.
    fn break_it(&self) {
        if self.node.language == Language::GO {
            self.put("main.go", "package main\n\nfunc main() { nothing() }\n");
        } else {
            self.put("src/main.rs", "fn main() {\n\n    nothing();\n}\n");
        }
    }

    fn executables(&self) -> Executables {
        Executables::new(self.folder.path().join("cache"))
    }

    /// Prepares two nodes that share their sources; returns the executable and the events.
    fn prepare(&self) -> (PathBuf, Vec<&'static str>) {
        let steps = Mutex::new(Vec::new());
        let on_event = |event: Event| {
            assert_eq!(event.nodes, ["etl"]);
            steps.lock().unwrap().push(match event.step {
                Step::Reusing => "reusing",
                Step::Building { .. } => "building",
                Step::Installing { .. } => return,
                Step::Installed { .. } => "built",
                step => panic!("{step:?}"),
            });
        };
        let other = ExecutableSource { name: "other".to_owned(), ..self.node.clone() };
        let made = run(self.executables().prepare(&[self.node.clone(), other], &on_event)).unwrap();
        let [Executable::Built(first), Executable::Built(second)] = &made[..] else { panic!("{made:?}") };
        assert_eq!(first, second);
        (first.clone(), steps.into_inner().unwrap())
    }
}

fn stdout_of(executable: &Path) -> String {
    String::from_utf8(Command::new(executable).output().unwrap().stderr).unwrap()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn an_executable_is_built_once_for_its_content(language: Language) {
    let fixture = Fixture::new(language);
    let files = entries(&fixture.node.module);
    let (first, steps) = fixture.prepare();
    assert_eq!((&*stdout_of(&first), &steps[..]), ("one\n", &["building", "built"][..]));
    assert_eq!(fixture.prepare(), (first.clone(), vec!["reusing"]));
    fixture.print_word("two");
    let (second, steps) = fixture.prepare();
    assert_eq!((&*stdout_of(&second), &steps[..]), ("two\n", &["building", "built"][..]));
    fixture.print_word("one");
    assert_eq!(fixture.prepare(), (first, vec!["reusing"]), "it was kept");
    assert_eq!(entries(&fixture.folder.path().join("cache/executables")), 2, "and nothing else");
    assert_eq!(entries(&fixture.node.module), files, "nothing is written beside the sources");
}

fn failed_builds_leave_nothing(language: Language, expected: &[&str]) {
    let fixture = Fixture::new(language);
    fixture.break_it();
    let made = run(fixture.executables().prepare(std::slice::from_ref(&fixture.node), &|_| {}));
    let Err(BuildError::Build { node, output, .. }) = made else { panic!("{made:?}") };
    assert_eq!(node, "etl");
    for line in expected {
        assert!(output.iter().any(|stdout_of| stdout_of.trim() == *line), "{line}: {output:?}");
    }
    assert_eq!(entries(&fixture.folder.path().join("cache/executables")), 0);
}

fn without_a_builder_the_package_s_own_executable_serves(language: Language) {
    let fixture = Fixture::new(language);
    let bare = || fixture.executables().with_process_env(ProcessEnv::from_iter([("PATH", "/nowhere")]));
    let nodes = std::slice::from_ref(&fixture.node);
    let made = run(bare().prepare(nodes, &|_| {}));
    assert!(matches!(made, Err(BuildError::NoBuilder { .. })), "{made:?}");
    fixture.put("bin/etl", "");
    let made = run(bare().prepare(nodes, &|_| {})).unwrap();
    assert_eq!(made, [Executable::Prebuilt(fixture.node.executable.clone())]);
}

mod go {
    use super::*;

    #[test]
    fn an_executable_is_built_once_for_its_content() {
        super::an_executable_is_built_once_for_its_content(Language::GO);
    }

    #[test]
    fn failed_builds_leave_nothing() {
        super::failed_builds_leave_nothing(Language::GO, &["# etl", "./main.go:3:15: undefined: nothing"]);
    }

    #[test]
    fn the_executable_of_the_package_is_used_without_go() {
        without_a_builder_the_package_s_own_executable_serves(Language::GO);
    }
}

mod rust {
    use super::*;

    #[test]
    fn an_executable_is_built_once_for_its_content() {
        super::an_executable_is_built_once_for_its_content(Language::RUST);
    }

    #[test]
    fn failed_builds_leave_nothing() {
        super::failed_builds_leave_nothing(
            Language::RUST,
            &["error[E0425]: cannot find function `nothing` in this scope", "--> src/main.rs:3:5"],
        );
    }

    #[test]
    fn the_executable_of_the_package_is_used_without_cargo() {
        without_a_builder_the_package_s_own_executable_serves(Language::RUST);
    }

    #[test]
    fn packages_of_the_same_name_are_distinguished() {
        let (first, second) = (Fixture::new(Language::RUST), Fixture::new(Language::RUST));
        first.print_word("first");
        second.print_word("second");
        let cache = first.folder.path().join("cache");
        let built = |fixture: &Fixture| {
            let nodes = std::slice::from_ref(&fixture.node);
            run(Executables::new(cache.clone()).prepare(nodes, &|_| {})).unwrap().remove(0)
        };
        assert_eq!(
            [&second, &first].map(|fixture| stdout_of(built(fixture).path())),
            ["second\n", "first\n"]
        );
    }

    #[test]
    fn the_executable_with_the_name_of_the_node_is_used() {
        let fixture = Fixture::new(Language::RUST);
        fixture.put("src/bin/other.rs", "fn main() {\n    eprintln!(\"other\");\n}\n");
        assert_eq!(stdout_of(&fixture.prepare().0), "one\n");
        fs::remove_file(fixture.node.folder.join("src/main.rs")).unwrap();
        fixture.put("src/bin/more.rs", "fn main() {}\n");
        let made = run(fixture.executables().prepare(std::slice::from_ref(&fixture.node), &|_| {}));
        let Err(BuildError::NotOne { made, .. }) = made else { panic!("{made:?}") };
        let mut made = made;
        made.sort();
        assert_eq!(made, ["more", "other"]);
    }
}
