//! Formats points as InfluxDB's line protocol
//! ([reference](https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/)).
//!
//! The protocol cannot express a line break in a name or a tag, nor a backslash before an escaped character:
//! the first is written as `\n`, the second becomes a slash.

use krt_store::{Point, Value};
use std::io::Write as _;

/// Appends a point. Leaves out tags with an empty value, which InfluxDB does not have.
pub(super) fn put(out: &mut Vec<u8>, point: &Point<'_>) {
    put_name(out, point.measurement, ", ");
    for (name, value) in point.tags.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(b',');
        put_name(out, name, ",= ");
        out.push(b'=');
        put_name(out, value, ",= ");
    }
    for (index, (name, value)) in point.fields.iter().enumerate() {
        out.push(if index == 0 { b' ' } else { b',' });
        put_name(out, name, ",= ");
        out.push(b'=');
        put_value(out, value);
    }
    put_text(out, format_args!(" {}\n", point.time));
}

fn put_name(out: &mut Vec<u8>, name: &str, escaped: &str) {
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        let next = chars.peek();
        match char {
            '\n' => out.extend(br"\n"),
            '\r' => out.extend(br"\r"),
            '\\' if next.is_none_or(|&next| next == '\\' || next.is_control() || escaped.contains(next)) => {
                out.push(b'/');
            }
            char if escaped.contains(char) => put_text(out, format_args!("\\{char}")),
            char => put_text(out, format_args!("{char}")),
        }
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            let text = text.replace('\\', r"\\").replace('"', r#"\""#);
            put_text(out, format_args!("\"{text}\""));
        }
        Value::Int(number) => put_text(out, format_args!("{number}i")),
        // A large number is written with an exponent instead of all digits.
        Value::Float(number) => put_text(out, format_args!("{number:?}")),
        Value::Bool(truth) => put_text(out, format_args!("{truth}")),
    }
}

fn put_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(measurement: &str, tags: &[(&str, &str)], fields: &[(&str, Value<'_>)]) -> String {
        let mut out = Vec::new();
        put(&mut out, &Point { measurement, tags, fields, time: -7 });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines() {
        let one = [("f", Value::Int(1))];
        let cases = [
            (line("m", &[], &one), "m f=1i -7\n"),
            (
                line("a b,c=d", &[("t 1", "x,y=z"), ("empty", "")], &one),
                "a\\ b\\,c=d,t\\ 1=x\\,y\\=z f=1i -7\n",
            ),
            (line("m", &[("path", r"C:\dir\"), ("b", r"\,")], &one), "m,path=C:\\dir/,b=/\\, f=1i -7\n"),
            (line("m", &[("t", "a\nb")], &one), "m,t=a\\nb f=1i -7\n"),
            (
                line("m", &[], &[("a=b", Value::Float(1.0)), ("c", Value::Float(1e300))]),
                "m a\\=b=1.0,c=1e300 -7\n",
            ),
            (
                line("m", &[], &[("t", r#"say "a\b""#.into()), ("b", true.into())]),
                "m t=\"say \\\"a\\\\b\\\"\",b=true -7\n",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(line, expected);
        }
    }
}
