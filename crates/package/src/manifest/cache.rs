//! `cache`: how long a workflow keeps its answers for equal requests.

use super::{
    Located, limits,
    read::{Fields, Reader},
};
use krt_model::version::Cache;
use std::{ops::RangeInclusive, time::Duration};

pub(super) const KEYS: [&str; 2] = ["ttl", "max"];

/// The range of a lifetime. The minimum catches wrong units.
const TTL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
/// The least memory, in bytes: it has room for some small answers.
const LEAST_MEMORY: u64 = 64 << 10;

/// Reads the `cache` of a workflow.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<Located<Cache>> {
    let block = fields.get("cache")?;
    let span = block.span.clone();
    let mut fields = reader.own_fields(block, &format!("`cache` of {}", fields.owner), &KEYS)?;
    let ttl = reader.required(&mut fields, "ttl").and_then(|node| reader.duration(&node, "ttl", &TTL));
    let max = fields.get("max").map(|node| limits::memory(reader, &node, "max", LEAST_MEMORY));
    let cache = Cache { ttl: ttl?, max: max.unwrap_or(Some(Cache::DEFAULT_MAX))? };
    Some(Located { value: cache, span })
}
