//! Shows and changes a version's configuration.

use super::Runtime;
use crate::{
    error::{Context as _, Result, bail, ensure},
    team::{
        CommentArgs, prompt,
        show::{self, Cell as _, Column, cell},
    },
    terminal,
    values::pair,
};
use clap::Args;
use krt_api::{
    Hidden, State,
    config::{ConfigChange, ConfigEntry, ConfigKind},
    version::Version,
};
use std::{collections::BTreeMap, path::Path};

/// The arguments of `krt version config`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt version config shop-v2
  krt version config shop-v2 --set REGION=eu --set-file MODEL_CONFIG=model.toml
  krt version config shop-v2 --set-file API_KEY=-              asks for it, unseen
  vault read … | krt version config shop-v2 --set-file API_KEY=-

A shell remembers what you type: read secrets from a file or from standard input. A line break at
the end of standard input is not part of a variable's value.

A version without a value of its own uses that of the newest earlier version that has one. A
running version keeps the values that it started with.")]
pub(super) struct ConfigArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    name: String,

    /// Set a value
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,

    /// Set a value to the content of a file; - is standard input
    #[arg(long = "set-file", value_name = "NAME=PATH", value_parser = pair)]
    set_file: Vec<(String, String)>,

    /// Remove the version's own value
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    /// Print values, too; only managers and admins can read them
    #[arg(long)]
    show_values: bool,

    #[command(flatten)]
    comment: CommentArgs,
}

/// Values by name; `None` removes one.
type Values = BTreeMap<String, Option<Hidden>>;

/// The name of standard input where a file is expected.
const STANDARD_INPUT: &str = "-";

/// Values are hidden unless requested, since terminals and CI logs keep them.
const COLUMNS: [Column<ConfigEntry>; 4] = [
    ("NAME", |entry| cell(&entry.name)),
    ("KIND", |entry| cell(&entry.kind)),
    ("SET", |entry| cell(&entry.set)),
    ("INHERITED FROM", |entry| cell(&entry.inherited_from)),
];
const WITH_VALUES: [Column<ConfigEntry>; 5] = [
    COLUMNS[0],
    COLUMNS[1],
    COLUMNS[2],
    COLUMNS[3],
    ("VALUE", |entry| {
        entry.value.as_ref().and_then(Option::as_ref).map_or("-".to_owned(), |value| value.reveal().cell())
    }),
];

impl Runtime<'_> {
    pub(super) async fn config(&self, args: &ConfigArgs) -> Result<()> {
        let path = format!("{}/config", self.of(&args.name));
        let mut entries: Vec<ConfigEntry> = self.api.get(&path).await?;
        if args.changes() {
            let values = args.values(&entries).await?;
            let change = ConfigChange { values, comment: args.comment.comment.clone() };
            entries = self.api.put(&path, &change).await?;
            self.note_running(&args.name).await?;
        }
        if !args.show_values {
            hide(&mut entries);
        }
        match (self.json, args.show_values) {
            (true, _) => show::json(&entries),
            (false, _) if entries.is_empty() => {
                terminal::print_note(&format!("`{}` has no configuration", args.name));
                Ok(())
            }
            (false, true) => {
                if entries.iter().all(|entry| entry.value.is_none()) {
                    terminal::print_note("only managers and admins can read values");
                }
                show::table(&entries, &WITH_VALUES)
            }
            (false, false) => show::table(&entries, &COLUMNS),
        }
    }

    /// Notes that a version must restart before new values apply.
    async fn note_running(&self, name: &str) -> Result<()> {
        let version: Version = self.api.get(&self.of(name)).await?;
        if matches!(version.state, State::Starting | State::Started | State::Published) {
            terminal::print_note(&format!("{name} runs: it has the new values when it is started again"));
        }
        Ok(())
    }
}

fn hide(entries: &mut [ConfigEntry]) {
    entries.iter_mut().for_each(|entry| entry.value = None);
}

impl ConfigArgs {
    fn changes(&self) -> bool {
        !(self.set.is_empty() && self.set_file.is_empty() && self.unset.is_empty())
    }

    /// The new values; `None` removes one.
    async fn values(&self, entries: &[ConfigEntry]) -> Result<Values> {
        let mut values = Values::new();
        let piped = self.set_file.iter().filter(|(_, path)| path == STANDARD_INPUT).count();
        ensure!(piped <= 1 || prompt::is_terminal(), "standard input is one value"; hint: "one `-` only");
        for (name, path) in &self.set_file {
            let value = read(name, path).await?;
            let is_line = path == STANDARD_INPUT && !is_file(entries, name);
            put(&mut values, name, Some(if is_line { line(&value) } else { &*value }))?;
        }
        for (name, value) in &self.set {
            put(&mut values, name, Some(value))?;
        }
        self.unset.iter().try_for_each(|name| put(&mut values, name, None))?;
        Ok(values)
    }
}

fn put(values: &mut Values, name: &str, value: Option<&str>) -> Result<()> {
    match values.insert(name.to_owned(), value.map(|value| Hidden(value.to_owned()))) {
        None => Ok(()),
        Some(_) => bail!("{name} is named twice"; hint: "give it one value"),
    }
}

async fn read(name: &str, path: &str) -> Result<String> {
    if path == STANDARD_INPUT {
        return prompt::value(&format!("value of {name}")).await;
    }
    crate::text::read(Path::new(path)).with_context(|| format!("--set-file cannot give a value to {name}"))
}

fn is_file(entries: &[ConfigEntry], name: &str) -> bool {
    entries.iter().any(|entry| entry.name == name && entry.kind == ConfigKind::File)
}

/// A text without its final line break.
fn line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: ConfigKind) -> ConfigEntry {
        ConfigEntry { name: name.to_owned(), kind, set: true, inherited_from: None, value: None }
    }

    #[test]
    fn a_final_line_break_is_not_part_of_a_value() {
        for (text, expected) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", "")] {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn values_of_files() {
        let entries = [entry("A", ConfigKind::Variable), entry("B", ConfigKind::File)];
        assert_eq!(["A", "B", "C"].map(|name| is_file(&entries, name)), [false, true, false]);
    }

    #[test]
    fn values_are_hidden() {
        let shown = entry("A", ConfigKind::Variable);
        let mut entries = [ConfigEntry { value: Some(Some(Hidden("secret".to_owned()))), ..shown.clone() }];
        hide(&mut entries);
        assert_eq!(entries, [shown]);
    }
}
