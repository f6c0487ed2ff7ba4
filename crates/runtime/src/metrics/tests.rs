//! `docs/reference/metrics.md` lists the metrics in the registry.

use super::*;
use krt_model::{
    name::Name,
    outcome::Kind,
    version::{Batch, Cache, Node, RunOptions, Workflow},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A metric: its type, and the names of its labels.
type Described = (String, BTreeSet<String>);

fn version() -> Version {
    let name = |text| Name::parse(text).unwrap();
    let node = Node {
        name: name("model"),
        src: String::new(),
        language: None,
        build: None,
        image: None,
        gpu: None,
        run: RunOptions { batch: Some(Batch::default()), ..RunOptions::default() },
    };
    Version {
        name: name("v1"),
        description: String::new(),
        proto: String::new(),
        config: Vec::new(),
        environment: Vec::new(),
        metadata: Vec::new(),
        nodes: vec![node],
        workflows: vec![Workflow {
            name: name("estimate"),
            entrypoint: "Estimate".to_owned(),
            sequence: vec![0],
            priority: false,
            cache: Some(Cache { ttl: Duration::from_secs(1), max: Cache::DEFAULT_MAX }),
            open_inference: false,
        }],
    }
}

/// What the registry says, once a request has failed.
fn registered(through_broker: bool) -> BTreeMap<String, Described> {
    let metrics = Metrics::new(&version(), through_broker);
    metrics.request(0, Ending::Failed, Duration::from_millis(1));
    metrics.failure(0, &Failure::Disconnected);
    let _worker = metrics.track_worker(0, std::process::id(), false);
    let text = metrics.text(
        0,
        true,
        std::iter::once(NodeGauges { waiting: 0, workers: 1, wanted: 1 }),
        &Registry::default(),
    );
    let mut found = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let shown = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        found.insert(shown, (kind.to_owned(), labels(&text, name)));
    }
    found
}

fn labels(text: &str, name: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| line.starts_with(name) && line.contains('{'));
    let inside = samples.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    let names =
        inside.flat_map(|inside| inside.split(',')).filter_map(|label| Some(label.split_once('=')?.0));
    names.filter(|name| *name != "le").map(str::to_owned).collect()
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    fs::read_to_string(path).unwrap()
}

/// The words of a table's cells that are code.
fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The cells of each row whose first one is code.
fn rows(page: &str) -> impl Iterator<Item = (String, Vec<&str>)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` |")?;
        Some((name.to_owned(), rest.split('|').map(str::trim).collect()))
    })
}

#[test]
fn the_page_has_every_metric() {
    let page = page();
    let described: BTreeMap<String, Described> = rows(&page)
        // Those of GPUs are tested where they are made.
        .filter(|(name, _)| name.starts_with("krt_") && !name.starts_with("krt_gpu_"))
        .map(|(name, cells)| (name, (cells[0].to_owned(), code(cells[1]))))
        .collect();
    assert_eq!(described, registered(true));
}

#[test]
fn the_second_table_has_the_metrics_of_nats() {
    let page = page();
    let (_, second) = page.split_once("With `--nats`").unwrap();
    let mut without = registered(true);
    without.retain(|name, _| !rows(second).any(|(other, _)| other == *name));
    assert_eq!(without, registered(false));
}

#[test]
fn the_page_has_every_kind_of_failure() {
    let page = page();
    let described: BTreeSet<String> =
        rows(&page).map(|(name, _)| name).filter(|name| !name.starts_with("krt_")).collect();
    let kinds: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    assert_eq!(described, kinds);
}
