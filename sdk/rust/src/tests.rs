//! Plays the recorded conversations of `protocol/conversations` to a worker of this SDK.

mod nodes;
mod play;

use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// A recorded conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    hello: Map<String, Value>,
    #[serde(default)]
    init: Option<String>,
    handler: String,
    frames: Vec<Map<String, Value>>,
    exit: i32,
    #[serde(default)]
    stderr: Option<String>,
}

fn protocol() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../protocol")
}

fn read<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn every_conversation_runs_as_recorded() {
    let base: Map<String, Value> = read(&protocol().join("hello.json"));
    let mut played = 0;
    let mut failed = Vec::new();
    for entry in fs::read_dir(protocol().join("conversations")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let mut hello = base.clone();
        let conversation: Conversation = read(&path);
        for (name, value) in &conversation.hello {
            match value {
                Value::Null => drop(hello.remove(name)),
                value => drop(hello.insert(name.clone(), value.clone())),
            }
        }
        if let Err(why) = play::play(&conversation, &hello) {
            failed.push(format!("{}: {why}", path.file_name().unwrap().display()));
        }
        played += 1;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(played > 40, "{played} conversations were found");
}

#[test]
fn the_functions_match_the_readme() {
    let text = fs::read_to_string(protocol().join("conversations/README.md")).unwrap();
    let names = |heading: &str| -> BTreeSet<String> {
        let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        rows.map(str::to_owned).collect()
    };
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(names("Handlers"), owned(&nodes::HANDLERS));
    assert_eq!(names("Inits"), owned(&nodes::INITS));
}
