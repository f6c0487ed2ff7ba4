//! Reports on Python nodes: by `krt check` before they run, and by `krt run` instead of a traceback.

use crate::support::krt::{command, refused, write_package};
use serde_json::Value;
use std::process::Output;
use tempfile::TempDir;

const PROTO: &str = "\
syntax = \"proto3\";
package shop;
service Entrypoint { rpc Price(Note) returns (Note); }
message Note { string text = 1; }
";

/// A package with one node and its source; `more` is added to the node's entry.
fn package(source: &str, more: &str) -> TempDir {
    let manifest = format!(
        "version: shop-v1\ndescription: Prices.\nentrypoint:\n  proto: public_input.proto\nnodes:\n  - name: etl\n    src: src/etl/main.py\n{more}workflows:\n  - name: price\n    entrypoint: Price\n    sequential: [etl]\n"
    );
    write_package(&[("krt.yml", &manifest), ("public_input.proto", PROTO), ("src/etl/main.py", source)])
}

/// The standard output and standard error of `krt check`, and whether it succeeds.
fn check(package: &TempDir, flags: &[&str]) -> (String, String, bool) {
    let output = command().arg("check").arg(package.path()).args(flags).output();
    let Output { status, stdout, stderr } = output.expect("the binary can be executed");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    (text(stdout), text(stderr), status.success())
}

#[test]
fn undeclared_imports_are_reported_with_the_missing_line() {
    let source =
        "import os\nimport numpy\nimport fastapi\n\n\nasync def handler(ctx, data):\n    return data\n";
    let package = package(source, "");
    let (report, _, is_well) = check(&package, &[]);
    assert!(!is_well);
    for words in
        ["imports `fastapi`", "main.py:3:1", "`src/etl/requirements.txt` with the lines `fastapi`, `numpy`"]
    {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(!report.contains("imports `numpy`"), "{report}");
    let error = refused(&["run"], package.path(), &["--listen", "127.0.0.1:0", "--no-dashboard"]);
    assert!(error.contains("src/etl/main.py:3:1: node `etl` imports `fastapi`"), "{error}");
}

#[test]
fn packages_of_the_old_images_are_noted() {
    let package = package("import joblib\n\n\nasync def handler(ctx, data):\n    return data\n", "");
    let (report, notes, is_well) = check(&package, &[]);
    assert!(is_well && report.contains("no problems"), "{report}");
    assert!(
        notes.contains("note: src/etl/main.py:1:1: node `etl` declares no packages: it gets `joblib`"),
        "{notes}"
    );
}

#[test]
fn errors_of_requirements_have_a_hint() {
    let package = package("async def handler(ctx, data):\n    return data\n", "");
    std::fs::write(package.path().join("src/etl/requirements.txt"), b"six\n# \xe4\n").unwrap();
    let (report, _, is_well) = check(&package, &["--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let problem = &report["problems"][0];
    assert!(!is_well && problem["message"].as_str().unwrap().contains("requirements.txt"), "{report}");
    let hint = "save it as UTF-8, or name its encoding in the first line: `# -*- coding: latin-1 -*-`";
    assert_eq!(problem["hint"], hint, "{report}");
}

#[test]
fn dict_handlers_have_a_hint_about_plain_data() {
    let source = "async def handler(ctx, data):\n    return {'text': data['text']}\n";
    let protobuf = package(source, "");
    let (report, _, is_well) = check(&protobuf, &["--json"]);
    assert!(!is_well);
    let report: Value = serde_json::from_str(&report).unwrap();
    let problem = &report["problems"][0];
    assert_eq!(problem["file"], "src/etl/main.py");
    assert_eq!((&problem["line"], &problem["column"]), (&2.into(), &21.into()));
    assert_eq!(problem["hint"], "add the line `payload: json` to node `etl` in krt.yml");
    assert!(check(&package(source, "    payload: json\n"), &[]).2);
}
