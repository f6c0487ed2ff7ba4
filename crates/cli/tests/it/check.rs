//! Tests of `krt check`.

use crate::support::{CommandOutput, Folder, krt, run_with};
use insta::assert_snapshot;
use serde_json::Value;

fn check(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.current_dir(folder.path()).arg("check").args(arguments);
    run_with(command, "")
}

fn wrong() -> Folder {
    Folder::new(&[
        (
            "krt.yml",
            "\
version: Shop_v1
description: Prices
entrypoint:
  proto: public_input.proto
node:
  - name: etl
nodes:
  - name: etl
    src: src/main.py
  - name: model
    src: src/modle.py
workflows:
  - name: pricing
    entrypoint: Pric
    sequential: [etl, modell]
",
        ),
        (
            "public_input.proto",
            "\
syntax = \"proto3\";
service Entrypoint {
  rpc Price(Request) returns (Answer);
}
message Request {}
message Answer {}
",
        ),
        ("src/main.py", ""),
        ("src/model.py", ""),
    ])
}

#[test]
fn valid_packages() {
    let ended = check(&Folder::greeter(""), &[]);
    assert_eq!(ended.code, Some(0));
    assert_eq!((&*ended.stdout, &*ended.stderr), ("greeter-v1: no problems\n", ""));
}

#[test]
fn all_problems_are_reported_at_once() {
    let ended = check(&wrong(), &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""));
    assert_snapshot!(ended.stdout);
}

#[test]
fn warnings_do_not_fail_the_check() {
    let folder = Folder::greeter("");
    let manifest = std::fs::read_to_string(folder.join("krt.yml")).unwrap();
    folder.write("krt.yml", &format!("{manifest}colour: red\n"));
    let ended = check(&folder, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_snapshot!(ended.stdout);
}

#[test]
fn a_cluster_needs_images() {
    let folder = Folder::greeter("");
    let manifest = std::fs::read_to_string(folder.join("krt.yml")).unwrap();
    folder.write("krt.yml", &manifest.replace("    image: konstellation/kre-py:latest\n", ""));
    assert_eq!(check(&folder, &[]).code, Some(0));
    let ended = check(&folder, &["--cluster"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.stdout);
}

#[test]
fn problems_as_json() {
    let ended = check(&wrong(), &["--json"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["version"], Value::Null);
    let problems = report["problems"].as_array().unwrap();
    let errors = problems.iter().filter(|problem| problem["severity"] == "error").count();
    assert!(errors > 1);
    assert_eq!(report["errors"], errors);
    assert_eq!(report["warnings"], problems.len() - errors);
    assert_eq!(problems[0]["file"], "krt.yml");
    assert_eq!(problems[0]["line"], 1);

    let ended = check(&Folder::greeter(""), &["--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({ "version": "greeter-v1", "errors": 0, "warnings": 0, "problems": [] });
    assert_eq!((ended.code, report), (Some(0), expected));
}

#[test]
fn invalid_paths_are_reported_on_standard_error() {
    let folder = Folder::new(&[("deep/krt.yml", ""), ("no.krt", "text")]);
    for (path, expected) in [
        ("none", "error: cannot read `none`: No such file or directory (os error 2)\n"),
        (
            "no.krt",
            "error: cannot unpack `no.krt`: it is not a gzip file\n\
             hint: a `.krt` is a gzip'd tar; `krt pack` makes one\n",
        ),
    ] {
        let ended = check(&folder, &[path]);
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(1), "", expected));
    }
    let ended = check(&folder, &[]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("has no `krt.yml`\nhint: there is one in `"), "{}", ended.stderr);
}

#[test]
fn an_archive_and_a_manifest_are_packages_too() {
    let folder = wrong();
    let here = check(&folder, &["krt.yml"]);
    assert_eq!(here.code, Some(1));
    assert_eq!(here.stdout, check(&folder, &[]).stdout);
}
