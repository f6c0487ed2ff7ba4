//! A version over NATS: its parts, among themselves and among existing runners.

mod doors;
mod durable;
mod interop;
mod parts;

use crate::support::{
    Copy,
    krt::{packages, said},
    runners::{Era, Runner, Workflow},
};
use krt_servers::{NatsOptions, NatsServer};
use std::{fs, path::Path};

const NODES: [(&str, &str); 3] =
    [("one", "src/act/main.py"), ("two", "src/act/main.py"), ("three", "src/act/main.py")];

/// A server with streams, whose messages may be large.
fn server(test: &str) -> Option<NatsServer> {
    let options = NatsOptions { jetstream: true, max_payload: Some(8 << 20), ..NatsOptions::default() };
    NatsServer::start(test, options)
}

/// The package `wire` with three nodes, of which some are left to others, and a second workflow that
/// comes by `two` twice.
fn package(external: &[usize]) -> Copy {
    let copy = Copy::of("wire");
    let mut manifest = fs::read_to_string(packages().join("wire/krt.yml")).unwrap();
    let nodes = manifest.find("nodes:").unwrap();
    manifest.truncate(nodes);
    manifest += "nodes:\n";
    for (index, (name, src)) in NODES.iter().enumerate() {
        let runner = if external.contains(&index) { "external" } else { "krt" };
        manifest += &format!("  - {{ name: {name}, image: i, src: {src}, runner: {runner} }}\n");
    }
    manifest += "workflows:\n  - { name: wire, entrypoint: Act, sequential: [one, two, three] }\n";
    manifest += "  - { name: again, entrypoint: Again, sequential: [two, one, two] }\n";
    fs::write(copy.path().join("krt.yml"), manifest).unwrap();
    copy.edit("public_input.proto", "rpc Act", "rpc Again(Order) returns (Order);\n  rpc Act");
    copy
}

fn workflow<'a>(era: Era, server: &'a str, package: &'a Path) -> Workflow<'a> {
    let version = "wire-v1";
    Workflow { era, server, package, runtime: version, version, name: "wire", rpc: "Act", nodes: &NODES }
}

/// What `krt env` prints for a node, which is the same with `--json`.
fn environment(era: Era, url: &str, package: &Path, node: &str, flags: &[&str]) -> Vec<(String, String)> {
    let flags = [flags, &["--nats", url, "--nats-mode", era.mode()]].concat();
    let lines = said(&["env", node], package, &flags);
    let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let json = said(&["env", node], package, &[&flags[..], &["--json"]].concat());
    let json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    assert_eq!(json.len(), pairs.len());
    assert!(pairs.iter().all(|(name, value)| json[name] == value.as_str()), "{json:?} {pairs:?}");
    pairs
}

/// Starts an existing runner with exactly what `krt env` prints.
async fn runner(era: Era, url: &str, package: &Path, node: &str, flags: &[&str]) -> Runner {
    Runner::node(era, package, &environment(era, url, package, node, flags)).await
}
