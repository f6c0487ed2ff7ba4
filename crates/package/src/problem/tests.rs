//! Places, order, and the machine-readable form.

use super::*;
use proptest::prelude::*;

#[test]
fn long_texts_lose_their_middle() {
    let mut report = Report::default();
    report.push(Problem::error("a", format!("`{}` is bad", "ü".repeat(5000))).hint("h".repeat(5000)));
    report.push(Problem::error("b", "x".repeat(Report::MAX_TEXT)));
    let [long, short] = report.problems() else { panic!("{report:?}") };
    assert!(long.message.starts_with("`üü") && long.message.ends_with("ü` is bad"), "{}", long.message);
    assert!(long.message.contains(" … ") && long.message.len() <= Report::MAX_TEXT + 5);
    assert_eq!(long.hint.as_ref().map(String::len), Some(Report::MAX_TEXT + 5));
    assert_eq!(short.message, "x".repeat(Report::MAX_TEXT));
}

#[test]
fn columns_count_characters_from_one() {
    let source = Source::new("krt.yml", "ab\nüx\r\n\nend");
    for (span, line, column) in [
        (0..1, 1, 1),
        (2..3, 1, 3),
        (3..5, 2, 1),
        (5..6, 2, 2),
        (4..4, 2, 1), // inside of `ü`
        (8..8, 3, 1),
        (9..12, 4, 1),
        (12..99, 4, 4),
        (50..99, 4, 4),
    ] {
        let location = source.location(&span);
        assert_eq!((location.line, location.column), (line, column), "{span:?}");
    }
}

#[test]
fn problems_are_ordered_by_file_and_line() {
    let source = Source::new("krt.yml", "a\nb\nc\n");
    let mut report = Report::default();
    report.push(source.warning(&(4..5), "third"));
    report.push(source.error(&(0..1), "second"));
    report.push(Problem::error("krt.yml", "first"));
    report.push(Problem::error("a.proto", "of another file"));
    report.push(source.error(&(4..5), "third, too: errors first"));
    let messages: Vec<&str> = report.problems().iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["of another file", "first", "second", "third, too: errors first", "third"]);
    assert_eq!((report.errors(), report.warnings()), (4, 1));
}

#[test]
fn bounded_reports_never_hide_errors() {
    let mut report = Report::default();
    for n in 0..2 * Report::MAX_PROBLEMS {
        report.push(Problem::warning("krt.yml", n.to_string()));
    }
    assert!(!report.has_errors());
    report.push(Problem::error("krt.yml", "an error"));
    report.push(Problem::error("krt.yml", "another"));
    assert_eq!((report.errors(), report.problems().len()), (1, Report::MAX_PROBLEMS + 1));
}

#[test]
fn scripts_read_json() {
    let source = Source::new("krt.yml", "version: A\n");
    let mut report = Report::default();
    report.push(source.error(&(9..10), "`A` is not a name").hint("for example `a`"));
    report.push(Problem::warning("b.proto", "unused"));
    let expected = serde_json::json!({
        "errors": 1,
        "warnings": 1,
        "problems": [
            { "severity": "warning", "file": "b.proto", "message": "unused", "hint": null },
            {
                "severity": "error", "file": "krt.yml", "line": 1, "column": 10,
                "message": "`A` is not a name", "hint": "for example `a`",
            },
        ],
    });
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
}

proptest! {
    #[test]
    fn every_span_has_a_location(text in "[aü\n\r日]{0,20}", start in 0usize..80, length in 0usize..80) {
        let source = Source::new("krt.yml", text.as_str());
        let location = source.location(&(start..start + length));
        prop_assert!(text.get(location.span).is_some());
        prop_assert!(location.line <= text.matches('\n').count() + 1);
        prop_assert!(location.column <= text.chars().count() + 1);
    }
}
