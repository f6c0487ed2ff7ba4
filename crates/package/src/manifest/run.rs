//! A node's keys that are krt's own: how it runs here.

use super::{
    limits,
    read::{Fields, Reader},
};
use crate::yaml::{Node, Value};
use krt_model::version::{PayloadForm, RunOptions, Runner};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest timeout of a handler.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest timeout, to catch wrong units.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> RunOptions {
    let default = RunOptions::default();
    let mut number = |key, range| fields.get(key).and_then(|node| whole(reader, &node, key, range));
    let replicas = number("replicas", 1..=RunOptions::MAX_REPLICAS);
    let concurrency = number("concurrency", 1..=RunOptions::MAX_CONCURRENCY);
    let retries = number("retries", 0..=RunOptions::MAX_RETRIES);
    RunOptions {
        replicas: replicas.unwrap_or(default.replicas),
        concurrency: concurrency.unwrap_or(default.concurrency),
        retries: retries.unwrap_or(default.retries),
        timeout: fields.get("timeout").and_then(|node| timeout(reader, &node)).or(default.timeout),
        payload: fields.get("payload").and_then(|node| payload(reader, &node)).unwrap_or_default(),
        runner: fields.get("runner").and_then(|node| runner(reader, &node)).unwrap_or_default(),
        limits: limits::read(reader, fields),
    }
}

fn payload(reader: &mut Reader<'_>, node: &Node) -> Option<PayloadForm> {
    one_of(
        reader,
        node,
        "payload",
        [PayloadForm::Protobuf, PayloadForm::Json].map(|form| (form.as_str(), form)),
    )
}

fn runner(reader: &mut Reader<'_>, node: &Node) -> Option<Runner> {
    one_of(reader, node, "runner", [Runner::Krt, Runner::External].map(|runner| (runner.as_str(), runner)))
}

/// One of two words.
fn one_of<T: Copy>(reader: &mut Reader<'_>, node: &Node, key: &str, words: [(&str, T); 2]) -> Option<T> {
    let found = match &node.value {
        Value::Plain(text) | Value::Quoted(text) => words.iter().find(|(word, _)| word == text),
        _ => None,
    };
    if found.is_none() {
        let [(one, _), (other, _)] = words;
        reader.mistyped(node, &format!("`{key}`"), &format!("`{one}` or `{other}`"));
    }
    found.map(|&(_, value)| value)
}

/// An integer in a range.
fn whole(reader: &mut Reader<'_>, node: &Node, key: &str, range: RangeInclusive<u16>) -> Option<u16> {
    let number = match &node.value {
        Value::Plain(text) => text.parse().ok().filter(|number| range.contains(number)),
        _ => None,
    };
    if number.is_none() {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        reader.mistyped(node, &format!("`{key}`"), &wanted);
    }
    number
}

fn timeout(reader: &mut Reader<'_>, node: &Node) -> Option<Duration> {
    let duration = match &node.value {
        Value::Plain(text) | Value::Quoted(text) => parse_duration(text),
        _ => None,
    };
    match duration {
        None => reader.mistyped(node, "`timeout`", "seconds, or a time such as `30s`, `500ms` or `2m`"),
        Some(duration) if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&duration) => return Some(duration),
        Some(_) => reader.error(&node.span, "`timeout` must be from 1 millisecond to 24 hours"),
    }
    None
}

/// A duration: a number of seconds, or a number with the unit `ms`, `s`, `m` or `h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number = number.trim_end();
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain)?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("30", Some(30_000)),
            ("0.5", Some(500)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("30 s", Some(30_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("inf", None),
            ("nan", None),
            ("1.2.3", None),
            ("5d", None),
            ("5 seconds", None),
            ("1m30s", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
