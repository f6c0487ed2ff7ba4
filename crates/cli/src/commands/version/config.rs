//! Shows and changes a version's configuration.

use super::Runtime;
use crate::{
    team::{
        CommentArgs, prompt,
        show::{self, Column, cell, text},
    },
    terminal,
    values::pair,
};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::Path;

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

/// The name of standard input where a file is expected.
const STANDARD_INPUT: &str = "-";

/// Values are hidden unless requested, since terminals and CI logs keep them.
const COLUMNS: [Column; 4] = [
    ("NAME", |entry| cell(&entry["name"])),
    ("KIND", |entry| cell(&entry["kind"])),
    ("SET", |entry| cell(&entry["set"])),
    ("INHERITED FROM", |entry| cell(&entry["inherited_from"])),
];
const WITH_VALUES: [Column; 5] =
    [COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3], ("VALUE", |entry| cell(&entry["value"]))];

impl Runtime<'_> {
    pub(super) async fn config(&self, args: &ConfigArgs) -> anyhow::Result<()> {
        let path = format!("{}/config", self.of(&args.name));
        let mut entries = self.api.get(&path).await?;
        if args.changes() {
            let values = args.values(&entries).await?;
            let change = json!({"values": values, "comment": args.comment.comment});
            entries = self.api.put(&path, &change).await?;
            self.note_running(&args.name).await?;
        }
        if !args.show_values {
            hide(&mut entries);
        }
        match (self.json, args.show_values) {
            (true, _) => show::json(&entries),
            (false, _) if entries.as_array().is_some_and(Vec::is_empty) => {
                terminal::print_note(&format!("`{}` has no configuration", args.name));
                Ok(())
            }
            (false, true) => {
                if entries.as_array().into_iter().flatten().all(|entry| entry.get("value").is_none()) {
                    terminal::print_note("only managers and admins can read values");
                }
                show::table(&entries, &WITH_VALUES)
            }
            (false, false) => show::table(&entries, &COLUMNS),
        }
    }

    /// Notes that a version must restart before new values apply.
    async fn note_running(&self, name: &str) -> anyhow::Result<()> {
        let version = self.api.get(&self.of(name)).await?;
        if matches!(text(&version, "state"), "STARTING" | "STARTED" | "PUBLISHED") {
            terminal::print_note(&format!("{name} runs: it has the new values when it is started again"));
        }
        Ok(())
    }
}

fn hide(entries: &mut Value) {
    for entry in entries.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.remove("value");
    }
}

impl ConfigArgs {
    fn changes(&self) -> bool {
        !(self.set.is_empty() && self.set_file.is_empty() && self.unset.is_empty())
    }

    /// The new values; `null` removes one.
    async fn values(&self, entries: &Value) -> anyhow::Result<Map<String, Value>> {
        let mut values = Map::new();
        let piped = self.set_file.iter().filter(|(_, path)| path == STANDARD_INPUT).count();
        ensure!(piped <= 1 || prompt::is_terminal(), "standard input is one value; hint: one `-` only");
        for (name, path) in &self.set_file {
            let value = read(name, path).await?;
            let is_line = path == STANDARD_INPUT && !is_file(entries, name);
            put(&mut values, name, if is_line { line(&value) } else { &*value }.into())?;
        }
        for (name, value) in &self.set {
            put(&mut values, name, value.as_str().into())?;
        }
        self.unset.iter().try_for_each(|name| put(&mut values, name, Value::Null))?;
        Ok(values)
    }
}

fn put(values: &mut Map<String, Value>, name: &str, value: Value) -> anyhow::Result<()> {
    match values.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => bail!("{name} is named twice; hint: give it one value"),
    }
}

async fn read(name: &str, path: &str) -> anyhow::Result<String> {
    if path == STANDARD_INPUT {
        return prompt::value(&format!("value of {name}")).await;
    }
    crate::text::read(Path::new(path)).with_context(|| format!("--set-file cannot give a value to {name}"))
}

fn is_file(entries: &Value, name: &str) -> bool {
    let mut entries = entries.as_array().into_iter().flatten();
    entries.any(|entry| text(entry, "name") == name && text(entry, "kind") == "file")
}

/// A text without its final line break.
fn line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_no_part_of_a_value() {
        for (text, expected) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", "")] {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn which_values_are_files() {
        let entries = json!([{"name": "A", "kind": "variable"}, {"name": "B", "kind": "file"}]);
        assert_eq!(["A", "B", "C"].map(|name| is_file(&entries, name)), [false, true, false]);
    }

    #[test]
    fn values_are_hidden() {
        let mut entries = json!([{"name": "A", "value": "secret"}]);
        hide(&mut entries);
        assert_eq!(entries, json!([{"name": "A"}]));
    }
}
