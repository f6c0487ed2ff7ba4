//! Parses points from InfluxDB's line protocol
//! ([reference](https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/)).
//!
//! A backslash is literal unless the next character needs one: a comma or a space in a measurement, an equals
//! sign as well in names and tags, a quotation mark or a backslash in a text. A text may have line breaks.

use super::target::Precision;
use krt_store::{MAX_FIELDS, Point, Value};

/// The most tags of a point. Tags and fields are compared with each other by their names.
const MAX_TAGS: usize = 255;
/// How much of an unreadable line an error quotes, in bytes.
const MAX_QUOTED: usize = 200;

/// A parsed point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line<'a> {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, Value<'a>)>,
    /// Nanoseconds since the Unix epoch, if the client sent a time.
    time: Option<i64>,
}

/// Why a line is not a point, with InfluxDB's wording where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse '{line}': {reason}")]
pub(super) struct LineError {
    line: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("invalid UTF-8")]
    Text,
    #[error("missing measurement")]
    Measurement,
    #[error("missing tag key")]
    TagKey,
    #[error("missing tag value")]
    TagValue,
    #[error("duplicate tags")]
    DuplicateTag,
    #[error("more than {MAX_TAGS} tags")]
    TooManyTags,
    #[error("missing fields")]
    Fields,
    #[error("missing field key")]
    FieldKey,
    #[error("missing field value")]
    FieldValue,
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
    #[error("unbalanced quotes")]
    Quotes,
    #[error("invalid number")]
    Number,
    #[error("invalid boolean")]
    Boolean,
    #[error("bad timestamp")]
    Timestamp,
    #[error("time outside range")]
    Range,
}

impl Line<'_> {
    /// Calls `each` with the point; `now` is the default time.
    pub(super) fn point<R>(&self, now: i64, each: impl FnOnce(&Point<'_>) -> R) -> R {
        let tags: Vec<_> = self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let time = self.time.unwrap_or(now);
        each(&Point { measurement: &self.measurement, tags: &tags, fields: &fields, time })
    }
}

/// The points of a body's lines; skips empty lines and comments.
pub(super) fn lines(
    body: &[u8],
    precision: Precision,
) -> impl Iterator<Item = Result<Line<'_>, LineError>> + Send {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
            let start = rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len());
            let text = &rest[start..];
            let end = if text.starts_with(b"#") { until_break(text) } else { end_of_line(text) };
            let line = &text[..end];
            rest = text.get(end + 1..).unwrap_or_default();
            if !line.is_empty() && !line.starts_with(b"#") {
                return Some(read(line, precision));
            }
        }
        None
    })
}

fn until_break(text: &[u8]) -> usize {
    text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len())
}

/// The end of a line: the first break outside of a text.
fn end_of_line(text: &[u8]) -> usize {
    let (mut fields, mut quoted, mut value, mut at) = (false, false, false, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if text.get(at + 1).is_some_and(|&next| next != b'\n') => at += 1,
            b'\n' if !quoted => return at,
            b' ' if !quoted => fields = true,
            b'"' if value => quoted = !quoted,
            b'=' if fields && !quoted => value = true,
            b',' if !quoted => value = false,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn read(line: &[u8], precision: Precision) -> Result<Line<'_>, LineError> {
    let parsed = match std::str::from_utf8(line) {
        Ok(text) => parse(text.trim_end_matches(['\r', ' ', '\t']), precision),
        Err(_) => Err(Reason::Text),
    };
    parsed.map_err(|reason| LineError { line: quoted(line), reason })
}

fn quoted(line: &[u8]) -> String {
    let cut = line.len() > MAX_QUOTED;
    let text = String::from_utf8_lossy(&line[..line.len().min(MAX_QUOTED)]);
    if cut { format!("{text}…") } else { text.into_owned() }
}

fn parse(line: &str, precision: Precision) -> Result<Line<'_>, Reason> {
    let mut cursor = Cursor { rest: line };
    let measurement = cursor.name(", ", ", ");
    if measurement.is_empty() {
        return Err(Reason::Measurement);
    }
    let tags = tags(&mut cursor)?;
    cursor.skip_spaces();
    let fields = fields(&mut cursor)?;
    let time = time(cursor.rest, precision)?;
    Ok(Line { measurement, tags, fields, time })
}

fn tags(cursor: &mut Cursor<'_>) -> Result<Vec<(String, String)>, Reason> {
    let mut tags: Vec<(String, String)> = Vec::new();
    while cursor.skip(',') {
        let name = cursor.name(",= ", ",= ");
        if name.is_empty() {
            return Err(Reason::TagKey);
        }
        if !cursor.skip('=') {
            return Err(Reason::TagValue);
        }
        // An equals sign in a value needs no backslash.
        let value = cursor.name(", ", ",= ");
        if value.is_empty() {
            return Err(Reason::TagValue);
        }
        if tags.iter().any(|(known, _)| *known == name) {
            return Err(Reason::DuplicateTag);
        }
        tags.push((name, value));
        if tags.len() > MAX_TAGS {
            return Err(Reason::TooManyTags);
        }
    }
    Ok(tags)
}

fn fields<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<(String, Value<'a>)>, Reason> {
    let mut fields: Vec<(String, Value<'a>)> = Vec::new();
    if cursor.rest.is_empty() {
        return Err(Reason::Fields);
    }
    loop {
        let name = cursor.name(",= ", ",= ");
        if name.is_empty() {
            return Err(Reason::FieldKey);
        }
        if !cursor.skip('=') {
            return Err(Reason::FieldValue);
        }
        let value = value(cursor)?;
        // Of two fields with one name, the last wins.
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        if fields.len() > MAX_FIELDS {
            return Err(Reason::TooManyFields);
        }
        match cursor.rest.chars().next() {
            Some(',') => cursor.skip(','),
            Some(' ') | None => return Ok(fields),
            Some(_) => return Err(Reason::FieldValue),
        };
    }
}

fn value<'a>(cursor: &mut Cursor<'a>) -> Result<Value<'a>, Reason> {
    if cursor.skip('"') {
        return Ok(Value::Text(cursor.text().ok_or(Reason::Quotes)?.into()));
    }
    let end = cursor.rest.find([',', ' ']).unwrap_or(cursor.rest.len());
    let word = cursor.take(end);
    match word.as_bytes() {
        [] => Err(Reason::FieldValue),
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => number(word),
        _ => boolean(word),
    }
}

fn number<'a>(word: &str) -> Result<Value<'a>, Reason> {
    let whole = |digits: &str| digits.parse().map(Value::Int).map_err(|_| Reason::Number);
    if let Some(digits) = word.strip_suffix('i') {
        return whole(digits);
    }
    if let Some(digits) = word.strip_suffix('u') {
        // The store has no other integers.
        return if digits.starts_with(['+', '-']) { Err(Reason::Number) } else { whole(digits) };
    }
    let plain = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let number = word.parse::<f64>().ok().filter(|number| plain && number.is_finite());
    number.map(Value::Float).ok_or(Reason::Number)
}

fn boolean<'a>(word: &str) -> Result<Value<'a>, Reason> {
    match word {
        "t" | "T" | "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
        "f" | "F" | "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
        _ => Err(Reason::Boolean),
    }
}

fn time(rest: &str, precision: Precision) -> Result<Option<i64>, Reason> {
    let text = rest.trim_matches(' ');
    if text.is_empty() {
        return Ok(None);
    }
    if !text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Timestamp);
    }
    let time: i64 = text.parse().map_err(|_| Reason::Range)?;
    time.checked_mul(precision.nanos()).map(Some).ok_or(Reason::Range)
}

/// The unread rest of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, size: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, char: char) -> bool {
        let rest = self.rest.strip_prefix(char);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Reads a name up to one of `ends`, and unescapes the characters of `escaped`.
    fn name(&mut self, ends: &str, escaped: &str) -> String {
        let mut name = String::new();
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, char)) = chars.next() {
            let next = chars.next_if(|&(_, next)| char == '\\' && escaped.contains(next));
            match next {
                Some((_, next)) => name.push(next),
                None if ends.contains(char) => {
                    end = at;
                    break;
                }
                None => name.push(char),
            }
        }
        self.take(end);
        name
    }

    /// Reads a text up to its quotation mark; `None` without one.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            let next = chars.next_if(|&(_, next)| char == '\\' && matches!(next, '"' | '\\'));
            match (next, char) {
                (Some((_, next)), _) => text.push(next),
                (None, '"') => {
                    self.take(at + 1);
                    return Some(text);
                }
                (None, char) => text.push(char),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
