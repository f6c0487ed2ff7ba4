//! Executables are built once for the same content. Needs `go`.

use crate::machine::run;
use krt_environment::{Event, Executable, Executables, GoError, GoSource, Step, Surroundings};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};
use tempfile::TempDir;

/// A module that needs nothing of the SDK's, and a cache.
struct House {
    folder: TempDir,
    node: GoSource,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("etl");
        fs::create_dir(&module).unwrap();
        fs::write(module.join("go.mod"), "module etl\n\ngo 1.20\n").unwrap();
        let node = GoSource {
            name: "etl".to_owned(),
            folder: module.clone(),
            executable: module.join("bin/etl"),
            module,
        };
        let house = Self { folder, node };
        house.say("one");
        house
    }

    fn say(&self, word: &str) {
        let source = format!("package main\n\nfunc main() {{ println({word:?}) }}\n");
        fs::write(self.node.folder.join("main.go"), source).unwrap();
    }

    fn executables(&self) -> Executables {
        Executables::new(self.folder.path().join("cache"))
    }

    /// Prepares two nodes that share their sources; gives the executable and what was told.
    fn prepare(&self) -> (PathBuf, Vec<&'static str>) {
        let told = Mutex::new(Vec::new());
        let on_event = |event: Event| {
            assert_eq!(event.nodes, ["etl"]);
            told.lock().unwrap().push(match event.step {
                Step::Reusing => "reusing",
                Step::Building { .. } => "building",
                Step::Installing { .. } => return,
                Step::Installed { .. } => "built",
                step => panic!("{step:?}"),
            });
        };
        let other = GoSource { name: "other".to_owned(), ..self.node.clone() };
        let made = run(self.executables().prepare(&[self.node.clone(), other], &on_event)).unwrap();
        let [Executable::Built(first), Executable::Built(second)] = &made[..] else { panic!("{made:?}") };
        assert_eq!(first, second);
        (first.clone(), told.into_inner().unwrap())
    }
}

fn said(executable: &Path) -> String {
    String::from_utf8(Command::new(executable).output().unwrap().stderr).unwrap()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn an_executable_is_built_once_for_its_content() {
    let house = House::new();
    let (first, told) = house.prepare();
    assert_eq!((&*said(&first), &told[..]), ("one\n", &["building", "built"][..]));
    assert_eq!(house.prepare(), (first.clone(), vec!["reusing"]));
    house.say("two");
    let (second, told) = house.prepare();
    assert_eq!((&*said(&second), &told[..]), ("two\n", &["building", "built"][..]));
    house.say("one");
    assert_eq!(house.prepare(), (first, vec!["reusing"]), "it was kept");
    assert_eq!(entries(&house.folder.path().join("cache/executables")), 2, "and nothing else");
    assert_eq!(entries(&house.node.module), 2, "nothing is written beside the sources");
}

#[test]
fn what_does_not_build_leaves_nothing() {
    let house = House::new();
    fs::write(house.node.folder.join("main.go"), "package main\n\nfunc main() { nothing() }\n").unwrap();
    let made = run(house.executables().prepare(std::slice::from_ref(&house.node), &|_| {}));
    let Err(GoError::Build { node, output, .. }) = made else { panic!("{made:?}") };
    assert_eq!(
        (&*node, &output[..]),
        ("etl", &["# etl", "./main.go:3:15: undefined: nothing"].map(String::from)[..])
    );
    assert_eq!(entries(&house.folder.path().join("cache/executables")), 0);
}

#[test]
fn without_go_the_package_s_own_executable_serves() {
    let house = House::new();
    let bare = || house.executables().with_surroundings(Surroundings::from_iter([("PATH", "/nowhere")]));
    let nodes = std::slice::from_ref(&house.node);
    let made = run(bare().prepare(nodes, &|_| {}));
    assert!(matches!(made, Err(GoError::NoGo { .. })), "{made:?}");
    fs::create_dir(house.node.module.join("bin")).unwrap();
    fs::write(&house.node.executable, "").unwrap();
    let made = run(bare().prepare(nodes, &|_| {})).unwrap();
    assert_eq!(made, [Executable::Prebuilt(house.node.executable.clone())]);
}
