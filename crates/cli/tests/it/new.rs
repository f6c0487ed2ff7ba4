//! `krt new` and `krt test`: new packages pass `krt check`, run, and pass their own tests. Needs `go` and
//! `cargo`.

use crate::support::{CommandOutput, Folder, krt, run_with};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

fn krt_in(folder: &Folder, below: &str, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.args(arguments).current_dir(folder.join(below));
    run_with(command, "")
}

fn well(ended: CommandOutput) -> CommandOutput {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended
}

const GREET: [&str; 5] = ["call", "--package", ".", "Greet", r#"{"name":"Ada"}"#];

fn a_package_and_more_nodes(language: &str) {
    let work = Folder::new(&[]);
    let made = well(krt_in(&work, "", &["new", "my-shop", "--lang", language]));
    assert!(made.stdout.starts_with("made `my-shop`, with the node `my-shop` in "), "{}", made.stdout);
    assert_eq!(well(krt_in(&work, "my-shop", &["check"])).stdout, "my-shop-v1: no problems\n");
    for other in ["python", "go", "rust"] {
        let name = format!("next-{other}");
        well(krt_in(&work, "my-shop", &["new", "node", &name, "--lang", other]));
    }
    assert_eq!(well(krt_in(&work, "my-shop", &["check"])).stdout, "my-shop-v1: no problems\n");
    let tested = well(krt_in(&work, "my-shop", &["test"]));
    for node in ["my-shop", "next-python", "next-go", "next-rust"] {
        assert!(tested.stderr.contains(&format!("note: testing node `{node}`, in ")), "{}", tested.stderr);
    }
    let answered = well(krt_in(&work, "my-shop", &GREET));
    assert_eq!(answered.stdout, "{\"text\":\"Hello, Ada!\"}\n");
    let names: Vec<_> =
        fs::read_dir(work.join("my-shop/src")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "nothing else is left: {names:?}");
}

#[test]
fn a_package_in_python() {
    a_package_and_more_nodes("python");
}

#[test]
fn a_package_in_go() {
    a_package_and_more_nodes("go");
}

#[test]
fn a_package_in_rust() {
    a_package_and_more_nodes("rust");
}

/// Makes a package of a kind, tests it, and returns the messages of its answer.
fn answer_of_a_template(template: &str, call: &[&str]) -> Vec<serde_json::Value> {
    let work = Folder::new(&[]);
    let made = well(krt_in(&work, "", &["new", "my-shop", "--template", template]));
    assert!(made.stdout.starts_with("made `my-shop`, with the node"), "{}", made.stdout);
    assert_eq!(well(krt_in(&work, "my-shop", &["check"])).stdout, "my-shop-v1: no problems\n");
    well(krt_in(&work, "my-shop", &["test"]));
    let answered = well(krt_in(&work, "my-shop", &[&["call", "--package", "."], call].concat()));
    answered.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_classifier() {
    let answer = answer_of_a_template("classifier", &["Classify", r#"{"weight": 172, "width": 78}"#]);
    assert_eq!(answer[0]["label"], "apple");
}

#[test]
fn an_etl() {
    let table = r#"{"csv": "id,day,amount\na1,2024-02-01,9.5\na1,2024-02-01,9.5\na2,2023-02-29,1"}"#;
    let answer = answer_of_a_template("etl", &["Load", table]);
    assert_eq!((&answer[0]["stored"], &answer[0]["known"]), (&1.into(), &1.into()));
    assert_eq!(answer[0]["problems"][0]["line"], 4);
}

#[test]
fn a_stream_of_tokens() {
    let tokens =
        answer_of_a_template("llm-stream", &["Generate", r#"{"text": "The boat", "max_tokens": 2}"#]);
    assert_eq!((tokens.len(), &tokens[0]["text"]), (2, &" left".into()));
}

/// The model that a classifier comes with is the one of its training.
#[test]
fn the_model_of_a_classifier_can_be_trained_again() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "fruits", "--template", "classifier"]));
    let model = work.join("fruits/models/classifier.json");
    let before = fs::read_to_string(&model).unwrap();
    fs::remove_file(&model).unwrap();
    let mut python = std::process::Command::new("python3");
    python.arg("training/train.py").current_dir(work.join("fruits"));
    assert_eq!(well(run_with(python, "")).stdout, "accuracy: 0.89\n");
    assert_eq!(fs::read_to_string(&model).unwrap(), before);
}

#[test]
fn editors_find_the_schema() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "shop"]));
    let manifest = fs::read_to_string(work.join("shop/krt.yml")).unwrap();
    let named = manifest.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
    let schema = fs::read_to_string(work.join("shop").join(named)).unwrap();
    assert_eq!(schema, well(krt_in(&work, "", &["schema"])).stdout);
}

/// Names that the languages reserve.
#[test]
fn every_name_builds() {
    let work = Folder::new(&[]);
    for (language, names) in
        [("go", &["fmt", "cmd", "go", "3d"][..]), ("rust", &["build", "deps", "krt-sdk", "3d"])]
    {
        for name in names {
            let folder = format!("{language}/{name}");
            well(krt_in(&work, "", &["new", &folder, "--lang", language]));
            assert_eq!(well(krt_in(&work, &folder, &["check"])).stdout, format!("{name}-v1: no problems\n"));
        }
        let package = format!("{language}/3d");
        well(krt_in(&work, &package, &["new", "node", names[0], "--lang", language]));
        assert_eq!(well(krt_in(&work, &package, &["check"])).stdout, "3d-v1: no problems\n");
    }
}

#[test]
fn an_empty_folder_is_filled_in_place() {
    let work = Folder::new(&[("shop/file", "")]);
    fs::remove_file(work.join("shop/file")).unwrap();
    let before = fs::metadata(work.join("shop")).unwrap().ino();
    let made = well(krt_in(&work, "shop", &["new", "."]));
    assert!(
        made.stdout.starts_with("made `.`, with the node `shop` in Python\n\n  krt run ."),
        "{}",
        made.stdout
    );
    assert_eq!(fs::metadata(work.join("shop")).unwrap().ino(), before);
    assert_eq!(well(krt_in(&work, "shop", &["check"])).stdout, "shop-v1: no problems\n");
    assert_eq!(work.names(), ["shop"]);
}

#[test]
fn existing_files_are_not_touched() {
    let work = Folder::new(&[("taken/file", "x"), ("file", "x")]);
    for (arguments, words) in [
        (&["new", "taken"][..], "taken` exists already\nhint: choose another name"),
        (&["new", "file"], "file` exists already\nhint: choose another name"),
        (&["new", "Shop"], "`Shop` is not a name"),
        (&["new", "node", "a", "--package", "taken"], "krt.yml"),
    ] {
        let ended = krt_in(&work, "", arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert_eq!(work.names(), ["file", "taken"]);
}

#[test]
fn failed_additions_change_nothing() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "shop"]));
    let manifest = || fs::read_to_string(work.join("shop/krt.yml")).unwrap();
    let before = manifest();
    fs::create_dir(work.join("shop/src/there")).unwrap();
    for (arguments, words) in [
        (&["there"][..], "`src/there` exists already"),
        (&["shop"], "krt.yml has a node `shop` already"),
        (&["other", "--workflow", "nothing"], "krt.yml has no workflow `nothing`"),
        (&["Other"], "`Other` is not a name"),
    ] {
        let ended = krt_in(&work, "shop", &[&["new", "node"], arguments].concat());
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    fs::create_dir_all(work.join("shop/bin/other")).unwrap();
    let ended = krt_in(&work, "shop", &["new", "node", "other", "--lang", "go"]);
    assert_eq!(ended.code, Some(1));
    for words in ["the node is not added", "`bin/other` is not a file"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert_eq!(manifest(), before);
    assert!(!work.join("shop/src/other").exists());
}

#[test]
fn linked_manifests_are_edited_in_place() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "shop"]));
    fs::rename(work.join("shop/krt.yml"), work.join("shop/real.yml")).unwrap();
    symlink("real.yml", work.join("shop/krt.yml")).unwrap();
    well(krt_in(&work, "shop", &["new", "node", "second"]));
    assert_eq!(fs::read_link(work.join("shop/krt.yml")).unwrap().to_str(), Some("real.yml"));
    assert!(fs::read_to_string(work.join("shop/real.yml")).unwrap().ends_with("- shop\n      - second\n"));
}

#[test]
fn a_node_is_not_added_to_an_archive() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "shop"]));
    well(krt_in(&work, "", &["pack", "shop", "-o", "shop.krt"]));
    let refused = krt_in(&work, "", &["new", "node", "second", "--package", "shop.krt"]);
    assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
    assert!(refused.stderr.contains("`shop.krt` is an archive"), "{}", refused.stderr);
}

#[test]
fn failed_tests_are_named() {
    let work = Folder::new(&[]);
    well(krt_in(&work, "", &["new", "shop"]));
    well(krt_in(&work, "shop", &["new", "node", "second"]));
    let source = fs::read_to_string(work.join("shop/src/shop/main.py")).unwrap();
    work.write("shop/src/shop/main.py", &source.replace("Hello", "Good day"));
    let failed = krt_in(&work, "shop", &["test"]);
    assert_eq!((failed.code, &*failed.stdout), (Some(1), "tests failed: node `shop`\n"), "{}", failed.stderr);
    assert!(failed.stderr.contains("Good day, Ada!"), "{}", failed.stderr);
    well(krt_in(&work, "shop", &["test", "--node", "second"]));
    let unknown = krt_in(&work, "shop", &["test", "--node", "third"]);
    assert!(unknown.stderr.contains("there is no node `third`\nhint: there is `shop`, `second`"));
}
