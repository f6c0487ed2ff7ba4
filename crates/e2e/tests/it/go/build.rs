//! The build of executables, and its errors.

use crate::support::{Copy, Krt, eventually, krt::command, lines::Record};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

/// An editable copy of the package `document`.
struct Document(Copy);

impl Deref for Document {
    type Target = Copy;

    fn deref(&self) -> &Copy {
        &self.0
    }
}

impl Document {
    fn new() -> Self {
        Self(Copy::of("document"))
    }

    fn krt(&self, word: &str) -> Command {
        let mut krt = command();
        krt.arg(word).arg(self.path());
        krt
    }

    /// All files with their content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[test]
fn a_check_builds_and_changes_nothing() {
    let copy = Document::new();
    let before = copy.files();
    let checked = run(&mut copy.krt("check"));
    assert_eq!(
        (text(&checked.stdout), checked.status.code()),
        ("document-v1: no problems\n".to_owned(), Some(0))
    );
    assert_eq!(copy.files(), before);
}

#[test]
fn compiler_errors_have_a_location() {
    let copy = Document::new();
    copy.edit("src/etl/main.go", "res.Component = req.Component", "res.Component = req.Compnent");
    let checked = run(copy.krt("check").arg("--json"));
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stderr));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&json!("src/etl/main.go"), &json!(28), &json!(22)),
        "{report}"
    );
    let message = problem["message"].as_str().unwrap();
    assert!(message.starts_with("req.Compnent undefined"), "{message}");
}

/// Besides the runner itself, nodes import its configuration, by each of its import paths.
#[tokio::test]
async fn the_configuration_of_the_runner_can_be_imported() {
    let runner = "github.com/konstellation-io/kre/runners/kre-go";
    for path in [runner, "github.com/konstellation-io/kre-runners/kre-go/v2"] {
        let copy = Document::new();
        let import = format!("\"{runner}\"");
        copy.edit("src/etl/main.go", &import, &format!("\"{path}\"\n\t\"{path}/config\""));
        copy.edit("src/etl/go.mod", runner, path);
        if path.ends_with("/v2") {
            copy.edit("src/etl/go.mod", " v0.0.0-20210312104514-c5a4d7a3a8cb", " v2.0.0");
        }
        let read = "config.NewConfig(simplelogger.New(simplelogger.LevelInfo))";
        copy.edit(
            "src/etl/main.go",
            "= req.Component",
            &format!("= {read}.NodeName + \"@\" + {read}.WorkflowName + {read}.NATS.Server"),
        );
        let service = Krt::run_at(copy.path()).start().await;
        let answer = service.call("Etl", json!({ "component": "x" })).await.unwrap();
        assert_eq!(answer, json!({ "component": "etl@etl" }));
        service.stop().await;
    }
}

#[test]
fn a_package_of_the_old_runner_that_krt_lacks_has_a_hint() {
    let copy = Document::new();
    let runner = "\"github.com/konstellation-io/kre/runners/kre-go\"";
    let mongo = "_ \"github.com/konstellation-io/kre/runners/kre-go/mongodb\"";
    copy.edit("src/etl/main.go", runner, &format!("{runner}\n\t{mongo}"));
    let checked = run(copy.krt("check").arg("--json"));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let problem = &report["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&json!("src/etl/main.go"), &json!(10)), "{report}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("`kre-go/config`")), "{report}");
}

#[tokio::test]
async fn build_errors_fail_the_start() {
    let copy = Document::new();
    copy.edit("src/etl/main.go", "func main() {", "func main() {\n\tundefined()");
    let ended = Krt::run_at(copy.path()).end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    let start = format!(
        "cannot build node `etl` from `{}`",
        copy.path().canonicalize().unwrap().join("src/etl").display()
    );
    assert!(error.starts_with(&start), "{error}");
    assert!(error.contains("./main.go:44:2: undefined: undefined"), "{error}");
}

#[tokio::test]
async fn packed_nodes_run_without_go() {
    let (copy, elsewhere) = (Document::new(), tempfile::tempdir().unwrap());
    let out = elsewhere.path().join("document.krt");
    let packed = run(copy.krt("pack").arg("--output").arg(&out));
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let executable = copy.path().join("bin/etl");
    assert_eq!(fs::metadata(&executable).unwrap().permissions().mode() & 0o777, 0o755);

    // A package packed on another system may have lost the x bit.
    fs::set_permissions(&executable, fs::Permissions::from_mode(0o644)).unwrap();
    for package in [out.as_path(), copy.path()] {
        let service = Krt::run_at(package).env("PATH", "/nowhere").start_archive(copy.path()).await;
        let answer = service.call("Etl", json!({ "component": "packed" })).await.unwrap();
        assert_eq!(answer, json!({ "component": "packed" }));
        let ended = service.stop().await;
        let records = ended.lines.records();
        let warned = |record: &Record| record.message.starts_with("found no `go`: node `etl` runs `");
        assert!(records.iter().any(|record| record.level == "WARN" && warned(record)), "{records:?}");
    }
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let packed: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let (copy, elsewhere) = (Document::new(), tempfile::tempdir().unwrap());
            let out = elsewhere.path().join("document.krt");
            let mut krt = copy.krt("pack");
            let packed = run(krt.arg("--output").arg(&out).env("KRT_CACHE", elsewhere.path().join("cache")));
            assert!(packed.status.success(), "{}", text(&packed.stderr));
            fs::read(out).unwrap()
        })
        .collect();
    assert!(packed[0] == packed[1], "another folder and another cache make a difference");
}

#[tokio::test]
async fn a_missing_go_toolchain_has_a_hint() {
    let copy = Document::new();
    let ended = Krt::run_at(copy.path()).env("PATH", "/nowhere").end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    assert!(error.starts_with("found no `go` to build node `etl` from `"), "{error}");
    assert!(error.contains("; hint: install Go 1.20 or newer"), "{error}");
}

#[test]
fn invalid_build_settings_are_reported() {
    let src = "    src: bin/etl\n";
    let rows = [
        ("    src: bin/etl\n    build: src/nothing\n", "`src/nothing` does not exist"),
        ("    src: bin/etl\n    build: src\n", "`src` has neither Go source nor a `Cargo.toml`"),
        ("    src: bin/etl\n    build: ../src\n", "`../src` leads out of the package"),
        ("    src: bin/etl\n    build: krt.yml\n", "`krt.yml` is not a folder"),
        (
            "    src: bin/etl\n    build: src/lone\n",
            "`src/lone` has no `go.mod`, and no folder above it in the package has one",
        ),
        ("    src: src/etl/main.go\n", "`src/etl/main.go` is Go source: `src` names the executable"),
        (
            "    src: src/main.py\n    build: src/etl\n",
            "`build` is for nodes in Go and Rust, but `src` is a Python file",
        ),
        ("    src: ../bin/etl\n    build: src/etl\n", "`../bin/etl` leads out of the package"),
    ];
    for (edited, message) in rows {
        let copy = Document::new();
        copy.edit("krt.yml", src, edited);
        fs::create_dir(copy.path().join("src/lone")).unwrap();
        fs::write(copy.path().join("src/lone/main.go"), "package main\n").unwrap();
        fs::write(copy.path().join("src/main.py"), "").unwrap();
        let checked = run(copy.krt("check").arg("--json"));
        let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(report["problems"][0]["message"], message, "{report}");
        assert_eq!(report["problems"][0]["file"], "krt.yml");
    }
}

#[test]
fn replacements_and_workspaces_of_the_user_are_allowed() {
    let copy = Document::new();
    let go_mod = copy.path().join("src/etl/go.mod");
    let replace = "\nreplace github.com/konstellation-io/kre/runners/kre-go => ../../elsewhere\n";
    fs::write(&go_mod, fs::read_to_string(&go_mod).unwrap() + replace).unwrap();
    fs::write(copy.path().join("go.work"), "go 1.20\n\nuse ./nowhere\n").unwrap();
    let checked = run(copy.krt("check").env("GOFLAGS", "-mod=vendor"));
    assert_eq!(text(&checked.stdout), "document-v1: no problems\n", "{}", text(&checked.stderr));
}

#[tokio::test]
async fn changed_sources_are_rebuilt() {
    let copy = Document::new();
    let service = Krt::run_at(copy.path()).watch().start().await;
    let answered = async |expected: &str| {
        let call = async || service.call("Etl", json!({ "component": "pump" })).await.ok();
        let fits = async || call().await.filter(|answer| *answer == json!({ "component": expected }));
        eventually(expected, fits).await
    };
    answered("pump").await;
    copy.edit("src/etl/main.go", "= req.Component", "= \"edited\"");
    answered("edited").await;
    copy.edit("src/etl/main.go", "= \"edited\"", "= edited");
    service.lines.wait("the wait", |record| record.message == "waiting for the package to change").await;
    assert!(service.lines.text().contains("undefined: edited"), "{}", service.lines.text());
    copy.edit("src/etl/main.go", "= edited", "= \"mended\"");
    answered("mended").await;
    service.stop().await;
}
