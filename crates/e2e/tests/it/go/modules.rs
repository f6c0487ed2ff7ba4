//! The modules of a node's build: workspaces, replacements, `vendor`, and modules outside the package.

use crate::support::{Copy, Krt, eventually, krt::command};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// A copy of the package `document` with additional files.
fn document(files: &[(&str, &str)]) -> Copy {
    let copy = Copy::of("document");
    for (name, text) in files {
        put(copy.path(), name, text);
    }
    copy
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The same, with a node that imports the package `example.com/words` and returns the result of `words.Say`
/// for its input.
fn with_words(files: &[(&str, &str)]) -> Copy {
    let copy = document(files);
    copy.edit("src/etl/main.go", "import (\n", "import (\n\t\"example.com/words\"\n");
    copy.edit("src/etl/main.go", "= req.Component", "= words.Say(req.Component)");
    copy
}

const SAY: &str = "package words\n\nimport \"example.com/deep\"\n\nfunc Say(text string) string { return deep.Say(text) }\n";
const DEEP: &str = "package deep\n\nfunc Say(text string) string { return \"deep \" + text }\n";

/// A workspace with the node's module and another one, which replaces a third.
fn workspace() -> Copy {
    with_words(&[
        ("go.work", "go 1.20\n\nuse (\n\t./src/etl // the node\n\t./lib/words\n)\n"),
        (
            "lib/words/go.mod",
            "module example.com/words\n\ngo 1.20\n\nrequire example.com/deep v0.0.0\n\nreplace example.com/deep => ../deep\n",
        ),
        ("lib/words/words.go", SAY),
        ("lib/deep/go.mod", "module example.com/deep\n\ngo 1.20\n"),
        ("lib/deep/deep.go", DEEP),
    ])
}

fn krt(word: &str, copy: &Copy) -> Command {
    let mut krt = command();
    krt.arg(word).arg(copy.path());
    krt
}

/// The output of a check: a line for each problem, and the hints.
fn checked(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let problems = report["problems"].as_array().unwrap().iter();
    let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let line = |problem: &Value| {
        let (file, message, hint) = (text(problem, "file"), text(problem, "message"), text(problem, "hint"));
        format!("{file}:{}: {message} | {hint}", problem["line"])
    };
    problems.map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_workspace_is_checked_tested_packed_and_run() {
    let copy = workspace();
    assert_eq!(checked(krt("check", &copy).arg("--json")), "");
    put(
        copy.path(),
        "src/etl/words_test.go",
        "package main\n\nimport (\n\t\"testing\"\n\n\t\"example.com/words\"\n)\n\nfunc TestWords(t *testing.T) {\n\tif words.Say(\"a\") != \"deep a\" {\n\t\tt.Fatal(words.Say(\"a\"))\n\t}\n}\n",
    );
    let tested = krt("test", &copy).output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("document.krt");
    let packed = krt("pack", &copy).arg("--output").arg(&out).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let service = Krt::run_at(&out).start_archive(copy.path()).await;
    let answer = service.call("Etl", json!({ "component": "pump" })).await.unwrap();
    assert_eq!(answer, json!({ "component": "deep pump" }));
    service.stop().await;
}

#[tokio::test]
async fn modules_beside_the_module_of_the_node_are_watched() {
    let copy = workspace();
    let service = Krt::run_at(copy.path()).watch().start().await;
    let answered = async |expected: &str| {
        let call = async || service.call("Etl", json!({ "component": "pump" })).await.ok();
        let fits = async || call().await.filter(|answer| *answer == json!({ "component": expected }));
        eventually(expected, fits).await
    };
    answered("deep pump").await;
    copy.edit("lib/deep/deep.go", "deep \"", "edited \"");
    answered("edited pump").await;
    service.stop().await;
}

#[test]
fn vendored_modules_are_not_fetched() {
    let listed = "\
# example.com/deep v1.0.0
## explicit; go 1.18
example.com/deep
# example.com/words v1.0.0
## explicit; go 1.18
example.com/words
# github.com/golang/protobuf v1.4.3
## explicit
# github.com/konstellation-io/kre/libs/simplelogger v0.0.0-20200624124103-7cbd0ab2c34e
## explicit
# github.com/konstellation-io/kre/runners/kre-go v0.0.0-20210312104514-c5a4d7a3a8cb
## explicit
# google.golang.org/protobuf v1.25.0
## explicit
";
    let copy = with_words(&[
        ("src/etl/vendor/modules.txt", listed),
        ("src/etl/vendor/example.com/words/words.go", SAY),
        ("src/etl/vendor/example.com/deep/deep.go", DEEP),
    ]);
    let require = "require (\n\texample.com/deep v1.0.0\n\texample.com/words v1.0.0\n";
    copy.edit("src/etl/go.mod", "require (\n", require);
    assert_eq!(checked(krt("check", &copy).arg("--json")), "");
    copy.edit("src/etl/go.mod", "words v1.0.0", "words v1.0.1");
    assert_eq!(
        checked(krt("check", &copy).arg("--json")),
        "src/etl/go.mod:7: requires `example.com/words v1.0.1`, but `vendor` has v1.0.0 | `go mod vendor` brings `vendor` up to date"
    );
}

#[test]
fn workspaces_outside_the_package_are_ignored() {
    let (copy, outer) = (Copy::of("document"), tempfile::tempdir().unwrap());
    put(outer.path(), "go.work", "go 1.99\n\nuse ./nothing\n");
    let package = outer.path().join("package");
    assert!(Command::new("cp").arg("-r").arg(copy.path()).arg(&package).status().unwrap().success());
    let mut check = command();
    check.arg("check").arg(&package).arg("--json").env("GOWORK", outer.path().join("go.work"));
    assert_eq!(checked(&mut check), "");
}

#[test]
fn modules_outside_the_package_are_refused_with_a_location() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "go.mod", "module example.com/words\n");
    put(outside.path(), "words.go", "package words\n\nfunc Say(text string) string { return text }\n");
    let out = outside.path().display().to_string();
    let module = "module etl\n\ngo 1.20\n";
    let work = "go 1.20\n\nuse ./src/etl\n";
    let rows = [
        (
            "src/etl/go.mod",
            format!("{module}\nreplace example.com/words => {out}\n"),
            format!("src/etl/go.mod:5: replaces `example.com/words` by `{out}`, which is outside of the package | a package holds"),
        ),
        (
            "src/etl/go.mod",
            format!("{module}\nreplace (\n\texample.com/words => ../../../words\n)\n"),
            "src/etl/go.mod:6: replaces `example.com/words` by `../../../words`, which is outside of the package | ".to_owned(),
        ),
        (
            "src/etl/go.mod",
            format!("{module}\nreplace example.com/words => ../words\n"),
            "src/etl/go.mod:5: replaces `example.com/words` by `../words`, which does not exist | ".to_owned(),
        ),
        (
            "go.work",
            format!("{work}\nuse ../words\n"),
            "go.work:5: uses `../words`, which is outside of the package | ".to_owned(),
        ),
        (
            "go.work",
            format!("{work}\nuse ./lib\n"),
            "go.work:5: uses `./lib`, which does not exist | ".to_owned(),
        ),
        (
            "go.work",
            format!("{work}\nreplace example.com/words => {out}\n"),
            format!("go.work:5: replaces `example.com/words` by `{out}`, which is outside of the package | "),
        ),
        (
            "src/etl/go.mod",
            "module etl\n\ngo 1.99\n".to_owned(),
            "src/etl/go.mod:3: requires go >= 1.99 ".to_owned(),
        ),
        (
            "src/etl/go.mod",
            "module etl\n\ngo banana\n".to_owned(),
            "src/etl/go.mod:3: invalid go version 'banana'".to_owned(),
        ),
        (
            "src/etl/go.mod",
            format!("{module}\nrequire example.com/words v1.0.0\n"),
            "src/etl/main.go:4: ".to_owned(),
        ),
    ];
    for (file, text, expected) in rows {
        let copy = with_words(&[(file, &text)]);
        let error_text =
            checked(krt("check", &copy).arg("--json").env("GOTOOLCHAIN", "local").env("GOPROXY", "off"));
        assert!(error_text.starts_with(&expected), "{file}: {text}\n{error_text}");
        assert!(
            !error_text.ends_with(" | ") || text.contains("banana"),
            "there is something to do: {error_text}"
        );
    }
}
