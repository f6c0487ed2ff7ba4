//! The list of nodes.

use super::read::{Fields, Reader};
use super::{NodeEntry, gpu, run};
use crate::yaml::Node;

pub(super) const KEYS: [&str; 15] = [
    "name",
    "image",
    "src",
    "build",
    "gpu",
    "replicas",
    "concurrency",
    "timeout",
    "retries",
    "payload",
    "batch",
    "runner",
    "limits",
    "recycle",
    "warmup",
];

pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Vec<NodeEntry> {
    let items = reader.items(fields, "nodes");
    items.into_iter().enumerate().filter_map(|(index, item)| entry(reader, item, index)).collect()
}

fn entry(reader: &mut Reader<'_>, item: Node, index: usize) -> Option<NodeEntry> {
    let mut fields = reader.item_fields(item, "node", index, &KEYS)?;
    let (label, name) = reader.name(&mut fields, "name");
    Some(NodeEntry {
        label,
        name,
        src: reader.required_text(&mut fields, "src"),
        build: fields.get("build").and_then(|node| reader.text(node, "`build`")),
        language: None,
        sources: None,
        image: reader.image(&mut fields),
        gpu: gpu::read(reader, &mut fields),
        run: run::read(reader, &mut fields),
        warmup: fields.get("warmup").and_then(|node| reader.text(node, "`warmup`")),
    })
}
