//! A node's keys that are krt's own: how it runs here.

use super::{
    batch, limits,
    read::{Fields, Reader},
    recycle, replicas,
};
use crate::yaml::{Node, Value};
use krt_model::version::{PayloadForm, RunOptions, Runner};
use std::{ops::RangeInclusive, time::Duration};

/// The range of a handler's timeout. The minimum catches wrong units.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);

pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields) -> RunOptions {
    let default = RunOptions::default();
    let mut number = |key, range| fields.get(key).and_then(|node| reader.integer(&node, key, range));
    let concurrency = number("concurrency", 1..=RunOptions::MAX_CONCURRENCY);
    let retries = number("retries", 0..=RunOptions::MAX_RETRIES);
    RunOptions {
        replicas: replicas::read(reader, fields),
        concurrency: concurrency.unwrap_or(default.concurrency),
        retries: retries.unwrap_or(default.retries),
        timeout: fields.get("timeout").and_then(|node| reader.duration(&node, "timeout", &TIMEOUT)),
        payload: fields.get("payload").and_then(|node| payload(reader, &node)).unwrap_or_default(),
        batch: batch::read(reader, fields),
        runner: fields.get("runner").and_then(|node| runner(reader, &node)).unwrap_or_default(),
        limits: limits::read(reader, fields),
        recycle: recycle::read(reader, fields),
        // Its place is needed until the file has been read.
        warmup: None,
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
        reader.wrong_type(node, &format!("`{key}`"), &format!("`{one}` or `{other}`"));
    }
    found.map(|&(_, value)| value)
}
