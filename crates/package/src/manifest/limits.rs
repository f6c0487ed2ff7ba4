//! `limits`: the limits of each process of a node, for one node or all.

use super::read::{Fields, Reader};
use crate::yaml::{Node, Value};
use krt_model::version::{Limits, Memory};
use std::ops::RangeInclusive;

pub(super) const KEYS: [&str; 3] = ["memory", "cpu", "files"];

/// The least memory of a worker, in bytes. It catches wrong units: no worker starts with less.
pub(super) const LEAST_MEMORY: u64 = 16 << 20;
/// The most memory, in bytes.
const MOST_MEMORY: u64 = 1 << 50;
/// The range of processor time, in thousandths of a processor.
const CPU: RangeInclusive<u64> = 10..=1_000_000;
/// The range of open files: a worker in Python needs some before user code runs.
const FILES: RangeInclusive<u32> = 32..=1 << 30;

/// Reads the `limits` of a node or of the package.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> Limits {
    let Some(block) = fields.get("limits") else { return Limits::default() };
    let owner = format!("`limits` of {}", fields.owner);
    let Some(mut fields) = reader.own_fields(block, &owner, &KEYS) else { return Limits::default() };
    Limits {
        memory: fields.get("memory").and_then(|node| memory(reader, &node, "memory", LEAST_MEMORY)),
        cpu: fields.get("cpu").and_then(|node| cpu(reader, &node)),
        files: fields.get("files").and_then(|node| files(reader, &node)),
    }
}

/// Reads an amount of memory, of at least so many bytes.
pub(super) fn memory(reader: &mut Reader<'_>, node: &Node, key: &str, least: u64) -> Option<Memory> {
    let Some(bytes) = text(node).and_then(parse_memory) else {
        let wanted = "bytes, or an amount such as `512Mi`, `2Gi` or `1G`";
        reader.wrong_type(node, &format!("`{key}`"), wanted);
        return None;
    };
    let within = (least..=MOST_MEMORY).contains(&bytes);
    if !within {
        reader.error(&node.span, format!("`{key}` must be from {} to 1Pi", Memory(least)));
    }
    within.then_some(Memory(bytes))
}

fn cpu(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let Some(thousandths) = text(node).and_then(parse_cpu) else {
        reader.wrong_type(node, "`cpu`", "a number of processors, such as `2`, `0.5` or `500m`");
        return None;
    };
    let within = CPU.contains(&thousandths);
    if !within {
        reader.error(&node.span, "`cpu` must be from 10m to 1000");
    }
    u32::try_from(thousandths).ok().filter(|_| within)
}

fn files(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let number = text(node).and_then(|text| text.parse().ok()).filter(|number| FILES.contains(number));
    if number.is_none() {
        let wanted = format!("a whole number from {} to {}", FILES.start(), FILES.end());
        reader.wrong_type(node, "`files`", &wanted);
    }
    number
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        _ => None,
    }
}

/// An amount in Kubernetes' notation: `Ki` is 1024, `k` is 1000.
fn parse_memory(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit: u64 = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    scaled(number, unit)
}

/// Thousandths of a processor: `0.5` or `500m`.
fn parse_cpu(text: &str) -> Option<u64> {
    match split(text)? {
        (number, "") => scaled(number, 1_000),
        (number, "m") => number.parse().ok(),
        _ => None,
    }
}

/// A number and its unit. Rejects signs, exponents and words such as `inf`.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then_some((number, unit))
}

/// A number, possibly with a fraction, times its unit, rounded down.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().ok()?;
    if fraction.len() > 9 {
        return None;
    }
    let (parts, of): (u64, u64) = (fraction.parse().ok()?, 10_u64.pow(u32::try_from(fraction.len()).ok()?));
    let rest = u64::try_from(u128::from(parts) * u128::from(unit) / u128::from(of)).ok()?;
    whole.checked_mul(unit)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory() {
        for (text, expected) in [
            ("1048576", Some(1 << 20)),
            ("512Mi", Some(512 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("2G", Some(2_000_000_000)),
            ("64k", Some(64_000)),
            ("0", Some(0)),
            ("", None),
            ("Mi", None),
            ("512MiB", None),
            ("512mb", None),
            ("-1", None),
            ("1e9", None),
            ("1.", None),
            ("1.2.3", None),
            ("inf", None),
            ("99999999999999999999", None),
            ("99999999999Ti", None),
        ] {
            assert_eq!(parse_memory(text), expected, "{text}");
        }
    }

    #[test]
    fn amounts_of_processors() {
        for (text, expected) in [
            ("1", Some(1_000)),
            ("0.5", Some(500)),
            ("500m", Some(500)),
            ("1.25", Some(1_250)),
            ("0.0001", Some(0)),
            ("1.5m", None),
            ("1 core", None),
            ("", None),
        ] {
            assert_eq!(parse_cpu(text), expected, "{text}");
        }
    }

    #[test]
    fn memory_is_shown_as_it_is_written() {
        for (bytes, shown) in
            [(512 << 20, "512Mi"), (3 << 29, "1536Mi"), (2 << 30, "2Gi"), (1_000, "1000"), (0, "0")]
        {
            assert_eq!(Memory(bytes).to_string(), shown);
        }
    }
}
