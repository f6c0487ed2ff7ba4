//! A version over NATS, with parts of ours only, and with existing runners.

mod durable;
mod entrypoints;
mod env;
mod hops;
mod interop;
mod parts;
mod replicas;

use crate::support::{
    Copy,
    krt::{packages, stdout_of},
    runners::{INFLUX, MONGO, Runner, WireProtocol, Workflow},
};
use krt_servers::{NatsOptions, NatsServer};
use std::{fs, path::Path};

const NODES: [(&str, &str); 3] =
    [("one", "src/act/main.py"), ("two", "src/act/main.py"), ("three", "src/act/main.py")];

/// A server with JetStream that accepts large messages.
fn server(test: &str) -> Option<NatsServer> {
    // Older servers sometimes do not redeliver a message that was given back.
    let options = NatsOptions {
        jetstream: true,
        survives_kills: true,
        max_payload: Some(8 << 20),
        ..NatsOptions::default()
    };
    NatsServer::start(test, options)
}

/// The package `wire` with three nodes, some of them external, and a second workflow that contains `two`
/// twice.
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

fn workflow<'a>(protocol: WireProtocol, server: &'a str, package: &'a Path) -> Workflow<'a> {
    let version = "wire-v1";
    Workflow { protocol, server, package, runtime: version, version, name: "wire", rpc: "Act", nodes: &NODES }
}

/// The output of `krt env` for a node, or for `--entrypoint`; `--json` gives the same.
fn environment(
    protocol: WireProtocol,
    url: &str,
    package: &Path,
    node: &str,
    flags: &[&str],
) -> Vec<(String, String)> {
    let servers = ["--nats", url, "--nats-mode", protocol.mode(), "--mongo", MONGO, "--influx", INFLUX];
    let flags = [flags, &servers].concat();
    let pairs = pairs(&stdout_of(&["env", node], package, &flags));
    let json = stdout_of(&["env", node], package, &[&flags[..], &["--json"]].concat());
    let json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    assert_eq!(json.len(), pairs.len());
    assert!(pairs.iter().all(|(name, value)| json[name] == value.as_str()), "{json:?} {pairs:?}");
    pairs
}

/// Parses lines of names and values.
fn pairs(lines: &str) -> Vec<(String, String)> {
    let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Starts an existing runner with exactly the output of `krt env`.
async fn runner(protocol: WireProtocol, url: &str, package: &Path, node: &str, flags: &[&str]) -> Runner {
    Runner::node(protocol, package, &environment(protocol, url, package, node, flags)).await
}
