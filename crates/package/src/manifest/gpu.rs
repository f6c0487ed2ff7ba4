//! `gpu`: the GPUs of each worker of a node.

use super::read::{Fields, Reader, boolean};
use crate::yaml::{Node, Value};
use krt_model::version::{Gpu, GpuNeed};

pub(super) const KEYS: [&str; 3] = ["count", "share", "optional"];

/// The text for a node that also runs without.
const OPTIONAL: &str = "optional";

/// Reads the `gpu` of a node: a boolean (KRT v1), a number, `optional`, or a mapping with its keys.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<Gpu> {
    let node = fields.get("gpu")?;
    let count = match &node.value {
        Value::Map(_) => return mapping(reader, node, &fields.owner),
        Value::Plain(text) | Value::Quoted(text) if text == OPTIONAL => {
            return Some(Gpu { need: GpuNeed::Optional, ..Gpu::default() });
        }
        Value::Plain(text) => text.parse().ok().filter(|count| *count <= Gpu::MAX_COUNT),
        _ => None,
    };
    match (count, boolean(&node)) {
        (Some(0), _) | (None, Some(false)) => None,
        (Some(count), _) => Some(Gpu { count, ..Gpu::default() }),
        (None, Some(true)) => Some(Gpu { need: GpuNeed::RequiredIfAny, ..Gpu::default() }),
        (None, None) => {
            let wanted = format!(
                "`true`, `false`, `optional`, a number up to {} or a mapping with its keys",
                Gpu::MAX_COUNT
            );
            reader.wrong_type(&node, "`gpu`", &wanted);
            None
        }
    }
}

fn mapping(reader: &mut Reader<'_>, node: Node, owner: &str) -> Option<Gpu> {
    let mut fields = reader.own_fields(node, &format!("`gpu` of {owner}"), &KEYS)?;
    let default = Gpu::default();
    let count = fields.get("count").and_then(|node| reader.integer(&node, "count", 1..=Gpu::MAX_COUNT));
    let share = fields.get("share").and_then(|node| reader.integer(&node, "share", 1..=Gpu::MAX_SHARE));
    let optional = fields.get("optional").and_then(|node| reader.boolean(&node, "optional"));
    Some(Gpu {
        count: count.unwrap_or(default.count),
        share: share.unwrap_or(default.share),
        need: if optional == Some(true) { GpuNeed::Optional } else { default.need },
    })
}
