//! Rendered reports.

use super::*;
use crate::problem::Source;

fn report() -> Report {
    let source = Source::new("krt.yml", "version: grüße\n\tnodes: \"日本\" # x\nend");
    let mut report = Report::default();
    report.push(source.error(&(9..16), "`grüße` is not a name").hint("for example `gr--e`"));
    report.push(source.warning(&(17..40), "marks of many lines end with the first"));
    report.push(source.error(&(source.text().len()..999), "at the very end"));
    report.push(Problem::error("public_input.proto", "`public_input.proto` has no service"));
    let elsewhere = Source::new("away.proto", "a\nb").location(&(2..3));
    report.push(Problem::warning("away.proto", "its text was not kept").at(elsewhere));
    report.push(Problem::error("krt.yml", "a text with \u{1b}[31mcontrol\u{7} characters"));
    report.add_source(source);
    report
}

#[test]
fn without_colour() {
    insta::assert_snapshot!(report().render(&Style::default()));
}

#[test]
fn paths_start_at_the_base() {
    let mut report = Report::default();
    report.push(Problem::error("krt.yml", "the file is empty"));
    let style = Style { base: PathBuf::from("examples/greeter"), ..Style::default() };
    assert_eq!(report.render(&style), "error: the file is empty\n--> examples/greeter/krt.yml");
}

#[test]
fn colour_changes_nothing_else() {
    let styled = report().render(&Style { colour: true, ..Style::default() });
    let mut plain = String::new();
    let mut rest = styled.as_str();
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        rest = &rest[start + rest[start..].find('m').unwrap() + 1..];
    }
    assert_eq!(plain + rest, report().render(&Style::default()));
}

#[test]
fn long_lines_are_shown_by_location_only() {
    let source = Source::new("a.proto", format!("{}\nlast", "x".repeat(MAX_LINE + 1)));
    let mut report = Report::default();
    report.push(source.error(&(7..8), "too long to be shown"));
    report.push(source.error(&(MAX_LINE + 2..MAX_LINE + 6), "shown"));
    report.add_source(source);
    let shown = report.render(&Style::default());
    assert!(shown.contains("--> a.proto:1:8") && shown.contains("2 | last"), "{shown}");
    assert!(shown.len() < 200, "{shown}");
}

#[test]
fn text_of_authors_is_escaped() {
    assert!(!report().render(&Style::default()).contains(['\u{1b}', '\u{7}']));
}
