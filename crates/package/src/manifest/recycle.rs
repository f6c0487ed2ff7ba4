//! `recycle`: when a worker of a node is replaced by a new one.

use super::{
    limits,
    read::{Fields, Reader},
};
use crate::yaml::{Node, Value};
use krt_model::version::Recycle;
use std::ops::RangeInclusive;

pub(super) const KEYS: [&str; 2] = ["memory", "requests"];

/// The range of answered messages. A worker's start takes longer than a few of them.
const REQUESTS: RangeInclusive<u32> = 1..=1_000_000_000;

/// Reads the `recycle` of a node.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Recycle {
    let Some(block) = fields.get("recycle") else { return Recycle::default() };
    let owner = format!("`recycle` of {}", fields.owner);
    let Some(mut fields) = reader.own_fields(block, &owner, &KEYS) else { return Recycle::default() };
    Recycle {
        memory: fields
            .get("memory")
            .and_then(|node| limits::memory(reader, &node, "memory", limits::LEAST_MEMORY)),
        requests: fields.get("requests").and_then(|node| requests(reader, &node)),
    }
}

fn requests(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let number = match &node.value {
        Value::Plain(text) => text.parse().ok().filter(|number| REQUESTS.contains(number)),
        _ => None,
    };
    if number.is_none() {
        let wanted = format!("a whole number from {} to {}", REQUESTS.start(), REQUESTS.end());
        reader.wrong_type(node, "`requests`", &wanted);
    }
    number
}
