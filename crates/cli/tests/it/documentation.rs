//! Checks the examples of the documentation.

mod anchors;
mod commands;
mod manifests;

use crate::support::{krt, run, run_with};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A fenced code block of a page.
struct Block {
    language: String,
    text: String,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```").filter(|language| !language.is_empty()) else {
            continue;
        };
        let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        blocks.push(Block { language: language.to_owned(), text });
    }
    blocks
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn examples_in_python_are_python() {
    let pages = pages(&docs());
    let examples = pages.iter().flat_map(|page| {
        let examples = blocks(page).into_iter().filter(|block| block.language == "python");
        examples.map(move |block| (page.display().to_string(), block.text))
    });
    let examples: Vec<_> = examples.collect();
    assert!(examples.len() > 10, "{} examples were found", examples.len());
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import ast, json, sys\nfor page, text in json.load(sys.stdin): ast.parse(text, filename=page)",
    ]);
    let ended = run_with(python, &serde_json::to_string(&examples).unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn the_first_package_behaves_as_documented() {
    let blocks = blocks(&docs().join("start/first-package.md"));
    let of = |language: &str| {
        let texts = blocks.iter().filter(|block| block.language == language).map(|block| block.text.as_str());
        texts.collect::<Vec<_>>()
    };
    let ([manifest], [proto], [node, test]) = (&of("yaml")[..], &of("proto")[..], &of("python")[..]) else {
        panic!("the page has one krt.yml, one .proto, a node and its test");
    };
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("houses");
    let typed = |words: &[&str]| {
        let ended = run(words.iter().copied().chain([package.to_str().unwrap()]));
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.stderr);
    };
    typed(&["new"]);
    let files = [
        ("krt.yml", manifest),
        ("public_input.proto", proto),
        ("src/houses/main.py", node),
        ("src/houses/test_main.py", test),
    ];
    for (name, text) in files {
        fs::write(package.join(name), text).unwrap();
    }
    typed(&["check"]);
    typed(&["test"]);
    let answers: Vec<_> =
        of("console").concat().lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    let requests = [r#"{"area": 80, "city": "Madrid"}"#, r#"{"area": 80}"#];
    assert_eq!(answers.len(), requests.len());
    let mut call = krt();
    call.args(["call", "--package"]).arg(&package).args(["Estimate", "-"]);
    let ended = run_with(call, &requests.join("\n"));
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), answers, "{}", ended.stderr);
}
