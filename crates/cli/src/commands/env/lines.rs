//! Output formats for variables.

use super::variables::Variables;
use crate::error::Result;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Formats `NAME=VALUE` lines, for `env $(…)` and environment files.
pub(super) fn plain(variables: &Variables) -> String {
    joined(variables, |name, value| format!("{name}={value}"))
}

/// Formats `export NAME='VALUE'` lines, for `eval`.
pub(super) fn export(variables: &Variables) -> String {
    joined(variables, |name, value| format!("export {name}='{}'", value.replace('\'', r"'\''")))
}

/// Formats a JSON object.
pub(super) fn json(variables: &Variables) -> Result<String> {
    let object: Map<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))).collect();
    Ok(serde_json::to_string_pretty(&object)?)
}

/// Formats the subjects file.
pub(super) fn subjects(subjects: &BTreeMap<&str, String>) -> Result<String> {
    Ok(serde_json::to_string_pretty(subjects)?)
}

/// Variables whose values a shell splits at blanks unless they are quoted.
pub(super) fn split_by_a_shell(variables: &Variables) -> impl Iterator<Item = &'static str> {
    variables
        .iter()
        .filter(|(_, value)| value.contains(|char: char| char.is_whitespace()))
        .map(|(name, _)| *name)
}

fn joined(variables: &Variables, line: impl Fn(&str, &str) -> String) -> String {
    let lines: Vec<_> = variables.iter().map(|(name, value)| line(name, value)).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_need_quotes() {
        let variables = vec![("A", "it's here".to_owned()), ("B", "$(no)".to_owned()), ("C", String::new())];
        assert_eq!(plain(&variables), "A=it's here\nB=$(no)\nC=");
        assert_eq!(export(&variables), "export A='it'\\''s here'\nexport B='$(no)'\nexport C=''");
        assert_eq!(split_by_a_shell(&variables).collect::<Vec<_>>(), ["A"]);
    }
}
