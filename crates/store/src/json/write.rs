//! Writes relaxed Extended JSON.

use bson::{Bson, DateTime, RawArray, RawBsonRef, RawDocument};
use serde_json::Number;
use std::fmt::Write as _;

/// The start of five-digit years, in milliseconds since 1970.
const YEAR_10000: i64 = 253_402_300_800_000;

/// Formats a document as relaxed Extended JSON, on one line.
///
/// Of a damaged document, formats the part before the damage.
pub fn to_json(document: &RawDocument) -> String {
    let mut out = String::with_capacity(document.as_bytes().len() * 2);
    write_document(&mut out, document);
    out
}

/// Formats a value as relaxed Extended JSON, for messages.
pub fn value_text(value: &Bson) -> String {
    value.clone().into_relaxed_extjson().to_string()
}

fn write_document(out: &mut String, document: &RawDocument) {
    out.push('{');
    for (index, (name, value)) in document.iter().map_while(Result::ok).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, name.as_str());
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_array(out: &mut String, array: &RawArray) {
    out.push('[');
    for (index, value) in array.into_iter().map_while(Result::ok).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_value(out, value);
    }
    out.push(']');
}

fn write_value(out: &mut String, value: RawBsonRef<'_>) {
    if let Some(number) = value.as_f64().and_then(Number::from_f64) {
        return write_plain(out, number);
    }
    match value {
        RawBsonRef::Document(document) => write_document(out, document),
        RawBsonRef::Array(array) => write_array(out, array),
        RawBsonRef::String(text) => write_text(out, text),
        RawBsonRef::Int32(number) => write_plain(out, number),
        RawBsonRef::Int64(number) => write_plain(out, number),
        RawBsonRef::Boolean(truth) => write_plain(out, truth),
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::DateTime(time) => write_date(out, time),
        // The other kinds are rare; the library formats them.
        other => match Bson::try_from(other) {
            Ok(value) => out.push_str(&value.into_relaxed_extjson().to_string()),
            Err(_) => out.push_str("null"),
        },
    }
}

/// Writes text for years from 1970 to 9999, otherwise milliseconds.
fn write_date(out: &mut String, time: DateTime) {
    let text =
        time.try_to_rfc3339_string().ok().filter(|_| (0..YEAR_10000).contains(&time.timestamp_millis()));
    match text {
        Some(text) => write_plain(out, format_args!("{{\"$date\":\"{text}\"}}")),
        None => write_plain(
            out,
            format_args!("{{\"$date\":{{\"$numberLong\":\"{}\"}}}}", time.timestamp_millis()),
        ),
    }
}

fn write_plain(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a string takes every text");
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        match special.as_bytes()[0] {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            byte @ (b'"' | b'\\') => out.extend(['\\', char::from(byte)]),
            byte => write_plain(out, format_args!("\\u{byte:04x}")),
        }
        rest = &special[1..];
    }
    out.push_str(rest);
    out.push('"');
}
