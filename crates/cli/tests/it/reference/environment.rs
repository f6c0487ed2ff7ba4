//! `docs/reference/environment.md`: every environment variable of a flag.

use super::{below, by_hand, keep};
use crate::support::run;
use std::{collections::BTreeMap, fmt::Write as _};

/// The meaning of a variable.
#[derive(Default)]
struct Variable {
    flags: Vec<String>,
    text: String,
    commands: Vec<String>,
}

#[test]
fn the_environment_page_has_the_variables_of_flags() {
    let mut variables = BTreeMap::new();
    collect(&mut variables, &mut Vec::new());
    assert!(variables.len() > 25, "{} variables were found", variables.len());
    let mut page = by_hand("environment.md");
    page.push_str("\n| variable | flag | commands | what it sets |\n| --- | --- | --- | --- |\n");
    for (name, Variable { flags, text, commands }) in &variables {
        let (flags, commands) = (flags.join(", "), commands.join(", "));
        writeln!(page, "| `{name}` | {flags} | {commands} | {text} |").unwrap();
    }
    keep("environment.md", &page);
}

#[test]
fn the_page_names_no_variable_of_a_flag_by_hand() {
    let (written, mut variables) = (by_hand("environment.md"), BTreeMap::new());
    collect(&mut variables, &mut Vec::new());
    assert!(variables.len() > 25, "{} variables were found", variables.len());
    for name in variables.keys() {
        assert!(!written.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// Collects the variables of a command and its subcommands.
fn collect(variables: &mut BTreeMap<String, Variable>, command: &mut Vec<String>) {
    let help = run(command.iter().map(String::as_str).chain(["--help"])).stdout;
    for option in options(&help) {
        let Some((name, flag, text)) = parts(&option) else { continue };
        let variable: &mut Variable = variables.entry(name).or_default();
        if !variable.flags.contains(&flag) {
            variable.flags.push(flag);
        }
        if variable.text.is_empty() {
            variable.text = text;
        }
        let command = format!("`krt {}`", command[..1].concat());
        if !variable.commands.contains(&command) {
            variable.commands.push(command);
        }
    }
    for name in below(&help) {
        command.push(name);
        collect(variables, command);
        command.pop();
    }
}

/// The options and arguments of a help text, one line each.
fn options(help: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in help.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start();
        match line.len() - text.len() {
            0 => found.push(String::new()),
            1..8 => found.push(text.to_owned()),
            _ => {
                if let Some(option) = found.last_mut() {
                    write!(option, " {}", text.trim_end()).unwrap();
                }
            }
        }
    }
    found
}

/// The variable of an option, its flag, and its description.
fn parts(option: &str) -> Option<(String, String, String)> {
    let (before, rest) = option.split_once("[env: ")?;
    let name = rest.split(['=', ']']).next()?.to_owned();
    let words: Vec<&str> = before.split_whitespace().collect();
    let flag = words.iter().find(|word| word.starts_with("--") || word.starts_with('['))?;
    let flag = format!("`{}`", flag.trim_end_matches(','));
    let ends = |word: &&str| word.ends_with(['>', ']']) || word.starts_with('-');
    let text = words.iter().skip_while(|word| ends(word)).copied().collect::<Vec<_>>().join(" ");
    let ends = [" [default", " Possible values:"].iter().filter_map(|end| text.find(end)).min();
    let text = text[..ends.unwrap_or(text.len())].replace('|', "\\|");
    Some((name, flag, text))
}
