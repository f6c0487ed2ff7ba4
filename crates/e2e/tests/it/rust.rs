//! Nodes in Rust: built from sources; compiler errors are reported.

use crate::support::{Copy, Krt, eventually, krt::command};
use serde_json::{Value, json};
use std::{fs, process::Output};

const SOURCE: &str = "src/mark/src/main.rs";

fn krt(word: &str, copy: &Copy, flags: &[&str]) -> Output {
    command().arg(word).arg(copy.path()).args(flags).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn compiler_errors_have_a_location() {
    let copy = Copy::of("chain-rust");
    copy.edit(SOURCE, "ping.text", "ping.txt");
    let checked = krt("check", &copy, &["--json"]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stderr));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let problem = &report["problems"][0];
    let expected = json!({ "file": SOURCE, "line": 20, "message": "no field `txt` on type `Ping`" });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&problem[key], value, "{report}");
    }
}

#[tokio::test]
async fn build_errors_fail_the_start() {
    let copy = Copy::of("chain-rust");
    copy.edit(SOURCE, "fn main() {", "fn main() {\n    undefined();");
    let ended = Krt::run_at(copy.path()).end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    let start = format!("cannot build node `one` from `{}", copy.path().canonicalize().unwrap().display());
    assert!(error.starts_with(&start), "{error}");
    assert!(error.contains("cannot find function `undefined`"), "{error}");
    assert!(error.contains(" --> src/main.rs:24:5"), "{error}");
}

#[tokio::test]
async fn packed_nodes_run_without_cargo() {
    let (copy, elsewhere) = (Copy::of("chain-rust"), tempfile::tempdir().unwrap());
    let out = elsewhere.path().join("chain.krt");
    let packed = krt("pack", &copy, &["--output", out.to_str().unwrap()]);
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let executable = fs::read(copy.path().join("bin/mark")).unwrap();
    let home = std::env::home_dir().unwrap().join(".cargo");
    let home = home.to_str().unwrap().as_bytes();
    assert!(!executable.windows(home.len()).any(|part| part == home), "it names a path of this machine");
    let service = Krt::run_at(&out).env("PATH", "/nowhere").start_archive(copy.path()).await;
    let answer = service.call("Run", json!({ "text": "packed" })).await.unwrap();
    assert_eq!(answer, json!({ "text": "packed one two three" }));
    service.stop().await;
}

#[tokio::test]
async fn a_missing_rust_toolchain_has_a_hint() {
    let copy = Copy::of("chain-rust");
    let ended = Krt::run_at(copy.path()).env("PATH", "/nowhere").end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    assert!(error.starts_with("found no `cargo` to build node `one` from `"), "{error}");
    assert!(error.contains("; hint: install Rust 1.91 or newer"), "{error}");
}

#[tokio::test]
async fn changed_sources_are_rebuilt() {
    let copy = Copy::of("chain-rust");
    let service = Krt::run_at(copy.path()).watch().start().await;
    copy.edit(SOURCE, "{} {}", "{}, {}");
    let call = async || service.call("Run", json!({ "text": "go" })).await.ok();
    let edited = async || call().await.filter(|answer| answer["text"] == "go, one, two, three");
    eventually("the edited node answers", edited).await;
    service.stop().await;
}
