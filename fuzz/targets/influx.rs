//! Whatever a client of the InfluxDB server sends, each line is a point or refused, and the points are the same when
//! they are written again.

#![no_main]

use krt_loopback::influx::fuzzing::read;
use krt_store::{Point, Value};
use libfuzzer_sys::fuzz_target;

/// The time of a point that has none.
const NOW: i64 = 1_700_000_000_000_000_000;

fuzz_target!(|body: &[u8]| {
    let (mut written, mut points, mut lines) = (String::new(), Vec::new(), 0);
    read(body, NOW, |point| {
        lines += 1;
        match point {
            Ok(point) => {
                assert!(!point.measurement.is_empty() && !point.fields.is_empty());
                if can_be_written(point) {
                    write(&mut written, point);
                    points.push(format!("{point:?}"));
                }
            }
            Err(error) => assert!(error.len() < 1000, "{error}"),
        }
    });
    assert!(lines <= body.split(|&byte| byte == b'\n').count());
    let mut again = Vec::new();
    read(written.as_bytes(), 0, |point| again.push(format!("{:?}", point.expect("it was written here"))));
    assert_eq!(again, points, "{written}");
});

/// Returns whether its names have no backslash: there is no escape for it, and what follows one changes where a line ends.
fn can_be_written(point: &Point<'_>) -> bool {
    let tags = point.tags.iter().flat_map(|(name, value)| [*name, *value]);
    let fields = point.fields.iter().map(|(name, _)| *name);
    !tags.chain(fields).chain([point.measurement]).any(|name| name.contains('\\'))
}

fn write(out: &mut String, point: &Point<'_>) {
    escape(out, point.measurement, ", ");
    for (name, value) in point.tags {
        out.push(',');
        escape(out, name, ",= ");
        out.push('=');
        escape(out, value, ",= ");
    }
    for (index, (name, value)) in point.fields.iter().enumerate() {
        out.push(if index == 0 { ' ' } else { ',' });
        escape(out, name, ",= ");
        out.push('=');
        match value {
            Value::Text(text) => {
                out.push('"');
                escape(out, text, "\"\\");
                out.push('"');
            }
            Value::Int(number) => *out += &format!("{number}i"),
            Value::Float(number) => *out += &format!("{number:?}"),
            Value::Bool(value) => *out += &value.to_string(),
        }
    }
    *out += &format!(" {}\n", point.time);
}

fn escape(out: &mut String, text: &str, escaped: &str) {
    for char in text.chars() {
        if escaped.contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
}
