//! The schema and the reader agree: on keys, on examples, on errors, and on every package of this repository.

use super::super::{
    Report, Source, Target, batch, cache, document, gpu, limits, node, other_versions, parse, recycle,
    replicas, workflow,
};
use super::JSON_SCHEMA;
use crate::yaml;
use krt_model::version::GpuNeed;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(JSON_SCHEMA).unwrap());
static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// What only the reader sees: it compares parts of the file, or knows a unit.
const BEYOND_THE_SCHEMA: [&str; 11] = [
    "there is no node",
    "two nodes are named",
    "two workflows",
    "is in `config` twice",
    "is in no workflow",
    "is a duplicate key",
    // Of a time with a unit.
    "`timeout` must be from",
    "`ttl` must be from",
    "`idle` must be from",
    // `min` and `max` of `replicas`.
    "more than `max`",
    // YAML's `1.0` is a whole number to JSON Schema.
    "`1.0` is not a name",
];

/// Whether the schema allows a text.
fn allows(text: &str) -> bool {
    let root = yaml::parse(&Source::new("krt.yml", text)).0;
    root.is_some_and(|root| VALIDATOR.is_valid(&json_of(&root)))
}

/// What an editor reads: plain scalars are numbers and booleans where they look so.
fn json_of(node: &yaml::Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Quoted(text) => json!(text),
        yaml::Value::Plain(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => json!(true),
            "false" | "no" | "off" => json!(false),
            _ => serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or(json!(text)),
        },
        yaml::Value::List(items) => items.iter().map(json_of).collect(),
        yaml::Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect()
        }
    }
}

/// Compares the schema's verdict about a text with the reader's.
pub(in super::super) fn agrees(text: &str, report: &Report) {
    let problems = report.problems();
    let beyond = |message: &str| BEYOND_THE_SCHEMA.iter().any(|beyond| message.contains(beyond));
    if problems.is_empty() {
        assert!(allows(text), "{text}");
    } else if !problems.iter().all(|problem| beyond(&problem.message)) {
        assert!(!allows(text), "{text}\n{problems:?}");
    }
}

/// A manifest that has all blocks, as JSON, which is YAML, too.
fn good() -> Value {
    json!({
        "version": "houses-v1",
        "description": "Estimates prices of houses.",
        "entrypoint": {"proto": "public_input.proto"},
        "config": {},
        "limits": {},
        "nodes": [
            {"name": "features", "src": "src/features/main.py", "limits": {}, "batch": {}, "gpu": {}, "recycle": {},
             "replicas": {"max": 2}},
            {"name": "model", "src": "src/model/main.py"},
        ],
        "workflows": [{"name": "estimate", "entrypoint": "Estimate", "sequential": ["features", "model"],
                       "cache": {"ttl": "60s"}}],
    })
}

/// One key: where it is in a manifest (`/nodes/0/name`), and what the schema says of it.
struct Key {
    place: String,
    says: &'static Value,
}

/// Every key of the schema.
fn keys() -> Vec<Key> {
    let mut found = Vec::new();
    collect("", &SCHEMA, &mut found);
    found
}

fn collect(place: &str, says: &'static Value, found: &mut Vec<Key>) {
    let definition = says["$ref"].as_str().map(|path| &SCHEMA["$defs"][path.rsplit('/').next().unwrap()]);
    for object in [Some(says), definition].into_iter().flatten() {
        for (name, says) in object["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}/{name}");
            collect(&place, says, found);
            found.push(Key { place, says });
        }
        if object["items"].is_object() {
            collect(&format!("{place}/0"), &object["items"], found);
        }
    }
}

/// A good manifest with another value at a key.
fn with(place: &str, value: &Value) -> String {
    let mut manifest = good();
    let (parent, name) = place.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap()[name] = value.clone();
    if place == "/nodes/0/name" {
        manifest["nodes"][1]["name"] = json!("other");
        manifest["workflows"][0]["sequential"] = json!([value, "other"]);
    }
    serde_json::to_string_pretty(&manifest).unwrap()
}

fn read(text: &str) -> Report {
    parse(&Source::new("krt.yml", text), Target::Local).1
}

#[test]
fn the_reader_knows_the_same_keys() {
    let known = |prefix: &str, keys: &[&str]| {
        keys.iter().map(|key| format!("{prefix}/{key}")).collect::<BTreeSet<String>>()
    };
    let reader: BTreeSet<String> = [
        known("", &document::KEYS),
        known("", &[other_versions::KEY]),
        known("/entrypoint", &document::ENTRYPOINT_KEYS),
        known("/config", &document::CONFIG_KEYS),
        known("/limits", &limits::KEYS),
        known("/nodes/0", &node::KEYS),
        known("/nodes/0/limits", &limits::KEYS),
        known("/nodes/0/batch", &batch::KEYS),
        known("/nodes/0/gpu", &gpu::KEYS),
        known("/nodes/0/recycle", &recycle::KEYS),
        known("/nodes/0/replicas", &replicas::KEYS),
        known("/workflows/0", &workflow::KEYS),
        known("/workflows/0/cache", &cache::KEYS),
    ]
    .into_iter()
    .flatten()
    .collect();
    let schema: BTreeSet<String> = keys().into_iter().map(|key| key.place).collect();
    assert_eq!(schema, reader);
}

#[test]
fn every_key_is_described() {
    for Key { place, says } in keys() {
        assert!(says["description"].as_str().is_some_and(|text| text.ends_with('.')), "{place}");
        assert!(says["x-since"].is_string(), "{place}");
        assert!(says["x-errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{place}");
    }
}

#[test]
fn examples_are_valid() {
    let mut seen = 0;
    for Key { place, says } in keys() {
        for example in says["examples"].as_array().into_iter().flatten() {
            let text = with(&place, example);
            let report = read(&text);
            let problems: Vec<_> = report.problems().iter().map(|problem| &problem.message).collect();
            assert_eq!(problems, [""; 0], "{place}");
            assert!(allows(&text), "{place}: {example}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} examples were found");
}

#[test]
fn errors_match_the_reader() {
    let mut seen = 0;
    for Key { place, says } in keys() {
        for error in says["x-errors"].as_array().unwrap() {
            let text = with(&place, &error[0]);
            let report = read(&text);
            let message = error[1].as_str().unwrap();
            let said = report.problems().iter().any(|problem| problem.message.contains(message));
            assert!(said, "{place}: {message}\n{:?}", report.problems());
            assert!(!allows(&text), "{place}: {}", error[0]);
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} errors were found");
}

#[test]
fn defaults_match_the_reader() {
    let version = parse(&Source::new("krt.yml", good().to_string()), Target::Local).0.into_version().unwrap();
    let (node, of) = (&version.nodes[1], &SCHEMA["$defs"]["node"]["properties"]);
    let read = json!({
        "gpu": node.gpu.is_some(),
        "replicas": node.run.replicas.max,
        "concurrency": node.run.concurrency,
        "retries": node.run.retries,
        "payload": node.run.payload.as_str(),
        "runner": node.run.runner.as_str(),
        "batch": node.run.batch.is_some(),
    });
    for (key, value) in read.as_object().unwrap() {
        assert_eq!(&of[key]["default"], value, "{key}");
    }
    let (batch, of) = (version.nodes[0].run.batch.unwrap(), &SCHEMA["$defs"]["batch"]["properties"]);
    assert_eq!(of["max"]["default"], batch.max);
    assert_eq!(of["isolate"]["default"], batch.isolate);
    let (gpu, of) = (version.nodes[0].gpu.unwrap(), &SCHEMA["$defs"]["gpu"]["properties"]);
    assert_eq!((&of["count"]["default"], &of["share"]["default"]), (&json!(gpu.count), &json!(gpu.share)));
    assert_eq!(of["optional"]["default"], gpu.need == GpuNeed::Optional);
}

fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" {
            manifests(&path, found);
        } else if name == "krt.yml" || name == "krt.yaml" {
            found.push(path);
        }
    }
}

#[test]
fn packages_of_this_repository_get_the_same_verdict() {
    let mut found = Vec::new();
    for folder in ["examples", "bench", "crates/e2e/packages"] {
        manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder), &mut found);
    }
    assert!(found.len() > 25, "{} packages were found", found.len());
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        agrees(&text, &read(&text));
    }
}
