//! The list of workflows.

use super::read::{Fields, Reader};
use super::{WorkflowEntry, cache};
use crate::yaml::Node;

pub(super) const KEYS: [&str; 6] =
    ["name", "entrypoint", "sequential", "priority", "cache", "open_inference"];

pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Vec<WorkflowEntry> {
    let items = reader.items(fields, "workflows");
    items.into_iter().enumerate().filter_map(|(index, item)| entry(reader, item, index)).collect()
}

fn entry(reader: &mut Reader<'_>, item: Node, index: usize) -> Option<WorkflowEntry> {
    let mut fields = reader.item_fields(item, "workflow", index, &KEYS)?;
    let (label, name) = reader.name(&mut fields, "name");
    let entrypoint = reader.required_text(&mut fields, "entrypoint");
    let items = reader.items(&mut fields, "sequential");
    let sequential =
        items.into_iter().filter_map(|item| reader.text(item, "a name in `sequential`")).collect();
    let priority = fields.get("priority").and_then(|node| reader.boolean(&node, "priority"));
    let priority = priority.unwrap_or_default();
    let cache = cache::read(reader, &mut fields);
    let open_inference = fields.get("open_inference").and_then(|node| {
        let is_on = reader.boolean(&node, "open_inference")?;
        is_on.then_some(node.span)
    });
    Some(WorkflowEntry {
        label,
        name,
        entrypoint,
        sequential,
        sequence: Vec::new(),
        priority,
        cache,
        open_inference,
    })
}
