//! `replicas`: how many workers a node has, or between which numbers that follows the load.

use super::read::{Fields, Reader};
use crate::yaml::{Node, Value};
use krt_model::version::{Replicas, RunOptions};
use std::{ops::RangeInclusive, time::Duration};

pub(super) const KEYS: [&str; 4] = ["min", "max", "idle", "share"];

/// The range of the time in which fewer workers must have sufficed.
const IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 60 * 60);

/// Reads the `replicas` of a node: a number, or a mapping with its keys.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Replicas {
    let Some(node) = fields.get("replicas") else { return Replicas::default() };
    if matches!(node.value, Value::Map(_)) {
        return mapping(reader, node, &fields.owner).unwrap_or_default();
    }
    let number = match &node.value {
        Value::Plain(text) => {
            text.parse().ok().filter(|number| (1..=RunOptions::MAX_REPLICAS).contains(number))
        }
        _ => None,
    };
    if number.is_none() {
        let wanted =
            format!("a whole number from 1 to {}, or a mapping with its keys", RunOptions::MAX_REPLICAS);
        reader.wrong_type(&node, "`replicas`", &wanted);
    }
    number.map(Replicas::fixed).unwrap_or_default()
}

fn mapping(reader: &mut Reader<'_>, node: Node, owner: &str) -> Option<Replicas> {
    let span = node.span.clone();
    let mut fields = reader.own_fields(node, &format!("`replicas` of {owner}"), &KEYS)?;
    let default = Replicas::default();
    let mut number =
        |key, least| fields.get(key).map(|node| reader.integer(&node, key, least..=RunOptions::MAX_REPLICAS));
    let (min, max) = (number("min", 0), number("max", 1));
    let idle = fields.get("idle").map(|node| reader.duration(&node, "idle", &IDLE));
    let fork = fields.get("share").map(|node| is_fork(reader, &node));
    let Some(max) = max else {
        reader.error(&span, "`replicas` has no `max`");
        return None;
    };
    let (min, max) = (min.unwrap_or(Some(default.min))?, max?);
    if min > max {
        reader.error(&span, format!("`min` of `replicas` is {min}, more than `max`, which is {max}"));
        return None;
    }
    let fork = fork.unwrap_or(Some(default.fork))?;
    Some(Replicas { min, max, idle: idle.unwrap_or(Some(default.idle))?, fork })
}

/// The one way to share memory.
fn is_fork(reader: &mut Reader<'_>, node: &Node) -> Option<bool> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) if text == "fork" => Some(true),
        _ => {
            reader.wrong_type(node, "`share`", "`fork`");
            None
        }
    }
}
