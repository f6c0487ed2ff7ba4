//! Parsed trees, and refusals.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn tree(text: &str) -> String {
    let (root, problems) = parse(&Source::new("krt.yml", text));
    match root {
        Some(node) if problems.is_empty() => show(&node),
        _ => problems.iter().map(line).collect::<Vec<_>>().join("; "),
    }
}

fn line(problem: &Problem) -> String {
    let place = problem.location.as_ref().map(|at| format!("{}:{} ", at.line, at.column));
    format!("{}{}", place.unwrap_or_default(), problem.message)
}

fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Plain(text) => text.clone(),
        Value::Quoted(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key, show(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn values() {
    for (text, expected) in [
        ("a: 1\nb: true", "{a: 1, b: true}"),
        ("a: '1'\nb: \"x\\ny\"", r#"{a: "1", b: "x\ny"}"#),
        ("a:\nb: ~\nc: null\nd: ''", r#"{a: null, b: null, c: null, d: ""}"#),
        ("a: |\n  x\n  y\n", r#"{a: "x\ny\n"}"#),
        ("a: [1, [2], {b: 3}]", "{a: [1, [2], {b: 3}]}"),
        ("a:\n- 1\n- 2", "{a: [1, 2]}"),
        ("# only\n--- \na: 1 # comment\n...\n", "{a: 1}"),
        ("\u{feff}a: 1", "{a: 1}"),
        ("a: &x [1, 2]\nb: *x", "{a: [1, 2], b: [1, 2]}"),
        ("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3", "{a: {p: 1, q: 2}, b: {q: 3, p: 1}}"),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            "{a: {p: 1}, b: {p: 2, q: 2}, c: {p: 1, q: 2}}",
        ),
        ("a: !!str 1\nb: !mine {c: d}", "{a: 1, b: {c: d}}"),
        ("a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn refusals() {
    for (text, expected) in [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: 1\na: 2", "2:1 `a` is a duplicate key"),
        ("a: 1\n---\nb: 2", "2:1 a second document begins here"),
        ("a:\n\t- 1", "2:2 a tab is not indentation in YAML"),
        ("a: *nobody", "1:4 an alias (`*name`) names no anchor (`&name`) above it"),
        ("a: &x [*x]", "1:8 an alias refers to itself"),
        ("? [a, b]\n: 1", "1:3 a key must be text, not a list"),
        ("a: {<<: 1}", "1:5 `<<` merges a mapping, not text"),
        ("a: {<<: [{}, 1]}", "1:5 `<<` merges a mapping, not a list"),
        ("é: ö\né: 1", "2:1 `é` is a duplicate key"),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
    for broken in [
        "a: [1",
        "a: 'x",
        "a: b: c",
        "a: }",
        "- a\nb: 1",
        "a: \"\u{1}\"",
        "a: \"\\q\"",
        "%YAML 3.0\n---\na: 1",
    ] {
        assert!(tree(broken).contains("this is not YAML: "), "{broken}: {}", tree(broken));
    }
}

#[test]
fn an_invisible_tab_is_pointed_out() {
    let (_, problems) = parse(&Source::new("krt.yml", "nodes:\n  - name: a\n\tsrc: b\n"));
    let advised =
        problems.iter().filter_map(|problem| problem.hint.as_deref()).any(|hint| hint.contains("use spaces"));
    assert!(advised, "{problems:?}");
}

fn refused_quickly(text: &str, expected: &str) {
    let start = Instant::now();
    let (root, problems) = parse(&Source::new("krt.yml", text));
    assert!(root.is_none());
    assert!(problems[0].message.contains(expected), "{}", problems[0].message);
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn bombs() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        let last = format!("*a{}, ", n - 1).repeat(9);
        laughs.push_str(&format!("a{n}: &a{n} [{last}]\n"));
    }
    refused_quickly(&laughs, "more than 20000 values");
    refused_quickly(&"- ".repeat(100_000), "deeper than 32");
    refused_quickly(&"[".repeat(200_000), "deeper than 32");
    refused_quickly(&"{a: ".repeat(50_000), "deeper than 32");
    let ladder: String = (1..40).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    refused_quickly(&format!("a0: &a0 []\n{ladder}"), "deeper than 32");
    refused_quickly(&format!("a: [{}]", "x, ".repeat(50_000)), "more than 20000 values");
    refused_quickly(&"x".repeat(MAX_BYTES + 1), "larger than 256 KiB");
    refused_quickly(&"&a ".repeat(80_000), "this is not YAML");
}

proptest! {
    #[test]
    fn every_value_has_a_location(text in "[a-c:,\\-&*<>|?!'\"\\[\\]{} \n]{0,80}") {
        let source = Source::new("krt.yml", text.as_str());
        let (root, problems) = parse(&source);
        prop_assert!(root.is_some() || !problems.is_empty());
        let mut nodes: Vec<&Node> = root.iter().collect();
        while let Some(node) = nodes.pop() {
            prop_assert!(text.get(node.span.clone()).is_some(), "{:?}", node.span);
            match &node.value {
                Value::List(items) => nodes.extend(items),
                Value::Map(entries) => nodes.extend(entries.iter().map(|entry| &entry.value)),
                _ => {}
            }
        }
    }
}
