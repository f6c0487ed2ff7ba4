//! Log records, and their encoding while they wait for the writer.

use crate::{
    bytes::{Cursor, put_long, put_short},
    point::MAX_NAME,
};
use krt_model::log::Level;

/// The longest message, in bytes; a longer one is cut.
pub const MAX_MESSAGE: usize = 256 << 10;

/// The level with this number; the nearest one, if there is none.
pub(crate) fn level(number: i64) -> Level {
    match number {
        ..=0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        3.. => Level::Error,
    }
}

/// One record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// The time, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// The severity.
    pub level: Level,
    /// The version of the solution.
    pub version: &'a str,
    /// The workflow, if the record belongs to one.
    pub workflow: Option<&'a str>,
    /// The node; `None` for the engine itself.
    pub node: Option<&'a str>,
    /// The request's id, if the record belongs to one.
    pub request: Option<&'a str>,
    /// The text; may have several lines.
    pub message: &'a str,
}

pub(crate) fn put_record(out: &mut Vec<u8>, record: &LogRecord<'_>) {
    out.extend_from_slice(&record.time.to_le_bytes());
    out.push(record.level as u8);
    for text in [Some(record.version), record.workflow, record.node, record.request] {
        put_short(out, cut(text.unwrap_or_default(), MAX_NAME).as_bytes());
    }
    put_long(out, cut(record.message, MAX_MESSAGE).as_bytes());
}

pub(crate) fn read_record<'a>(cursor: &mut Cursor<'a>) -> Option<LogRecord<'a>> {
    let time = cursor.i64()?;
    let level = level(cursor.u8()?.into());
    let version = cursor.short_text()?;
    let mut name = || Some(Some(cursor.short_text()?).filter(|text| !text.is_empty()));
    let (workflow, node, request) = (name()?, name()?, name()?);
    Some(LogRecord { time, level, version, workflow, node, request, message: cursor.long_text()? })
}

/// The start of a text, at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let record = LogRecord {
            time: -5,
            level: Level::Warn,
            version: "v1",
            workflow: None,
            node: Some("greeter"),
            request: Some("0190"),
            message: "two\nlines, é",
        };
        let mut bytes = Vec::new();
        put_record(&mut bytes, &record);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(read_record(&mut cursor), Some(record));
        assert!(cursor.is_empty());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 3), "aé");
        assert_eq!(cut("aéb", 9), "aéb");
    }
}
