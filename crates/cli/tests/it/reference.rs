//! The pages of `docs/reference` that are generated from the output of `krt`.

mod environment;
mod manifest;

use crate::support::run;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Set this variable to write the pages instead of comparing them.
const UPDATE: &str = "KRT_UPDATE_DOCS";

/// The mark that separates the handwritten part of a page from the generated part.
const GENERATED_MARK: &str =
    "<!-- What follows is made by tests; see UPDATE in crates/cli/tests/it/reference.rs. -->\n";

const INTRODUCTION: &str = "# Commands

This page shows the `--help` of every command. An environment variable, such as `[env: KRT_LISTEN=]`, sets its flag unless the
command line has the flag.

A `DURATION` is a number of seconds (`30`, `0.5`), or numbers with the units `ms`, `s`, `m`, `h`, `d` and `w`: `500ms`, `2m`,
`1h30m`. `timeout` in `krt.yml` has the same form.
";

#[test]
fn the_page_of_commands_matches_their_help() {
    let mut text = INTRODUCTION.to_owned();
    write_command(&mut text, &mut Vec::new());
    keep("commands.md", &text);
}

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page)
}

/// The handwritten part of a page, including the mark.
fn by_hand(page: &str) -> String {
    let text = fs::read_to_string(path(page)).unwrap();
    let (head, _) =
        text.split_once(GENERATED_MARK).unwrap_or_else(|| panic!("{page} has no line {GENERATED_MARK}"));
    format!("{head}{GENERATED_MARK}")
}

/// Compares a page with the expected text, or writes it.
fn keep(page: &str, text: &str) {
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path(page), text).unwrap();
    }
    let committed = fs::read_to_string(path(page)).unwrap_or_default();
    assert!(
        text == committed,
        "docs/reference/{page} is not up to date; hint: run this test with {UPDATE}=1"
    );
}

/// Appends the help of a command and its subcommands.
fn write_command(page: &mut String, command: &mut Vec<String>) {
    let words = command.iter().map(String::as_str).chain(["--help"]);
    let ended = run(words);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{command:?}");
    let title =
        std::iter::once("krt").chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let level = "#".repeat(if command.len() < 2 { 2 } else { 3 });
    write!(page, "\n{level} {title}\n\n```text\n{}\n```\n", ended.stdout.trim_end()).unwrap();
    for name in below(&ended.stdout) {
        command.push(name);
        write_command(page, command);
        command.pop();
    }
}

/// The subcommands in a help text.
fn below(help: &str) -> Vec<String> {
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The continuation lines of a description have a deeper indentation.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
