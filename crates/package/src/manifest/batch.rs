//! `batch`: whether a handler gets several messages in one call.

use super::read::{Fields, Reader, boolean};
use crate::yaml::{Node, Value};
use krt_model::version::Batch;

pub(super) const KEYS: [&str; 2] = ["max", "isolate"];

/// Reads the `batch` of a node: a boolean, or a mapping with its keys.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<Batch> {
    let node = fields.get("batch")?;
    if matches!(node.value, Value::Map(_)) {
        return mapping(reader, node, &fields.owner);
    }
    let Some(wanted) = boolean(&node) else {
        reader.wrong_type(&node, "`batch`", "`true`, `false` or a mapping with its keys");
        return None;
    };
    wanted.then(Batch::default)
}

fn mapping(reader: &mut Reader<'_>, node: Node, owner: &str) -> Option<Batch> {
    let mut fields = reader.own_fields(node, &format!("`batch` of {owner}"), &KEYS)?;
    let default = Batch::default();
    let max = fields.get("max").and_then(|node| reader.integer(&node, "max", 1..=Batch::MAX_SIZE));
    let isolate = fields.get("isolate").and_then(|node| reader.boolean(&node, "isolate"));
    Some(Batch { max: max.unwrap_or(default.max), isolate: isolate.unwrap_or(default.isolate) })
}
