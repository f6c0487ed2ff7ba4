//! `docs/reference/krt-yml.md`: every key of `krt.yml`, from the schema of `krt schema`.

use super::{by_hand, keep};
use crate::support::run;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The sections of the page: a title, and the key whose subkeys it lists.
const PARTS: [(&str, &str); 11] = [
    ("The package", ""),
    ("Entrypoint", "entrypoint"),
    ("Configuration", "config"),
    ("Limits", "limits"),
    ("Nodes", "nodes"),
    ("Replicas that follow the load", "nodes[].replicas"),
    ("Batches", "nodes[].batch"),
    ("GPUs", "nodes[].gpu"),
    ("Recycling", "nodes[].recycle"),
    ("Workflows", "workflows"),
    ("Caches", "workflows[].cache"),
];

#[test]
fn the_manifest_page_matches_the_schema() {
    let ended = run(["schema"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
    let mut page = by_hand("krt-yml.md");
    for (title, parent) in PARTS {
        let object = object(&schema, parent);
        let prefix = match &schema["properties"][parent]["type"] {
            Value::String(kind) if kind == "array" => format!("{parent}[]."),
            _ if parent.is_empty() => String::new(),
            _ => format!("{parent}."),
        };
        writeln!(page, "\n## {title}").unwrap();
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut keys: Vec<_> = object["properties"].as_object().unwrap().iter().collect();
        keys.sort_by_key(|(name, _)| !required.contains(&name.as_str()));
        for (name, says) in keys {
            let shown = format!("{prefix}{name}");
            write_key(&mut page, &shown, name, &resolved(&schema, says), required.contains(&name.as_str()));
        }
    }
    keep("krt-yml.md", &page);
}

/// The object schema below a top-level key, or below a key of its items.
fn object(schema: &Value, parent: &str) -> Value {
    if parent.is_empty() {
        return schema.clone();
    }
    if let Some((list, key)) = parent.split_once("[].") {
        return resolved(schema, &object(schema, list)["properties"][key]);
    }
    let says = resolved(schema, &schema["properties"][parent]);
    match says["items"].is_object() {
        true => resolved(schema, &says["items"]),
        false => says,
    }
}

/// A description with its `$ref` resolved.
fn resolved(schema: &Value, says: &Value) -> Value {
    let own = says.as_object().unwrap();
    let named = own.get("$ref").and_then(Value::as_str).and_then(|path| schema.pointer(&path[1..]));
    let mut all: Map<String, Value> = named.and_then(Value::as_object).cloned().unwrap_or_default();
    all.extend(own.clone());
    Value::Object(all)
}

fn write_key(page: &mut String, shown: &str, name: &str, says: &Value, required: bool) {
    let description = says["description"].as_str().unwrap();
    writeln!(page, "\n### `{shown}`\n\n{description}\n").unwrap();
    writeln!(page, "- Type: {}", kind(says)).unwrap();
    match (required, default(says)) {
        (true, _) => writeln!(page, "- Required"),
        (false, Some(default)) => writeln!(page, "- Default: {default}"),
        (false, None) => writeln!(page, "- Optional"),
    }
    .unwrap();
    for example in says["examples"].as_array().into_iter().flatten() {
        writeln!(page, "- Example: `{name}: {}`", yaml(example)).unwrap();
    }
    writeln!(page, "- Since: {}", says["x-since"].as_str().unwrap()).unwrap();
    page.push_str("\n| value | what `krt check` says |\n| --- | --- |\n");
    for error in says["x-errors"].as_array().unwrap() {
        writeln!(page, "| `{}` | {} |", yaml(&error[0]), error[1].as_str().unwrap()).unwrap();
    }
}

fn default(says: &Value) -> Option<String> {
    let text = says["x-default"].as_str().map(str::to_owned);
    text.or_else(|| says.get("default").map(|value| format!("`{}`", yaml(value))))
}

/// Describes the type of a value.
fn kind(says: &Value) -> String {
    let words = says["enum"].as_array().into_iter().flatten();
    let words: Vec<String> =
        words.filter(|value| !value.is_null()).map(|value| format!("`{}`", yaml(value))).collect();
    if !words.is_empty() {
        return words.join(" or ");
    }
    let kinds = match &says["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let is = |kind: &str| kinds.iter().any(|other| other == kind);
    let said = [
        ("integer", "whole number"),
        ("number", "number"),
        ("string", "text"),
        ("boolean", "`true` or `false`"),
    ];
    // Where a text is expected, a number or a boolean is accepted as written.
    if is("string") && !is("null") || is("string") && is("boolean") {
        return "text".to_owned();
    }
    let mut said: Vec<&str> = said.iter().filter(|(kind, _)| is(kind)).map(|(_, word)| *word).collect();
    said.extend(is("array").then_some("list"));
    said.extend(is("object").then_some("mapping"));
    said.join(" or ")
}

/// Formats a value in YAML's flow style.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if text.trim().is_empty() => format!("'{text}'"),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", yaml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
