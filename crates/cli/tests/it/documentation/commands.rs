//! Checks that every `krt …` command line in the pages has an existing command and existing flags.

use super::{blocks, docs, pages};
use crate::support::run;
use std::{collections::HashSet, fs};

#[test]
fn every_example_command_parses() {
    let mut seen = 0;
    for page in pages(&docs()).into_iter().chain([docs().join("../README.md")]) {
        for block in blocks(&page).iter().filter(|block| ["console", "sh"].contains(&block.language.as_str()))
        {
            for words in typed(&block.text) {
                // `--help` stops the parser there, after it has parsed the words before.
                let ended = run(words.iter().map(String::as_str).chain(["--help"]));
                assert_eq!(ended.code, Some(0), "{}: krt {words:?}\n{}", page.display(), ended.stderr);
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} commands were found");
}

#[test]
fn every_command_in_the_text_exists() {
    let mut seen = HashSet::new();
    for page in pages(&docs()).into_iter().chain([docs().join("../README.md")]) {
        for line in prose(&fs::read_to_string(&page).unwrap()) {
            for code in line.split('`').skip(1).step_by(2) {
                let Some(words) = arguments(code) else { continue };
                let words: Vec<String> = words.into_iter().take_while(|word| !is_placeholder(word)).collect();
                if !seen.insert(words.clone()) {
                    continue;
                }
                let ended = run(words.iter().map(String::as_str).chain(["--help"]));
                // The page may omit a flag's value.
                let is_known = ended.code == Some(0) || ended.stderr.contains("a value is required for");
                assert!(is_known, "{}: {code}\n{}", page.display(), ended.stderr);
            }
        }
    }
    assert!(seen.len() > 50, "{} commands were found", seen.len());
}

/// The lines of a page outside of code blocks.
fn prose(page: &str) -> Vec<&str> {
    let mut block = false;
    let launch = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        block ^= fence;
        !block && !fence
    });
    launch.collect()
}

/// Whether a word is a placeholder, such as PATH and `…`.
fn is_placeholder(word: &str) -> bool {
    word.contains('…') || word.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The arguments of each `krt` command in a block.
fn typed(block: &str) -> Vec<Vec<String>> {
    let lines = block.replace("\\\n", " ");
    lines.lines().filter_map(|line| arguments(line.strip_prefix("$ ").unwrap_or(line))).collect()
}

/// The arguments of `krt` in a shell line, up to the command's end.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = split(line).into_iter().skip_while(|word| is_assignment(word)).peekable();
    if words.next_if(|word| word == "sudo").is_some() && words.next_if(|word| word == "-u").is_some() {
        words.next();
    }
    if words.next()? != "krt" {
        return None;
    }
    let ends = |word: &String| ["|", ">", ">>", "&", "&&", ";", "#", "--", "<"].contains(&word.as_str());
    Some(words.take_while(|word| !ends(word)).collect())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Splits a line into words, and removes quotes.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_of_a_line() {
    for (line, expected) in [
        ("krt call Greet '{\"name\": \"Ada\"}'", Some(vec!["call", "Greet", "{\"name\": \"Ada\"}"])),
        ("KRT_TOKEN=x krt version list | head", Some(vec!["version", "list"])),
        ("sudo -u krt krt backup /b", Some(vec!["backup", "/b"])),
        ("krt completions bash > file", Some(vec!["completions", "bash"])),
        ("curl krt", None),
        ("", None),
    ] {
        let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(arguments(line), expected, "{line}");
    }
}
