//! Log records, and their encoding while they wait for the writer.

use crate::{
    bytes::{Cursor, put_long, put_short},
    point::MAX_NAME,
};
use rusqlite::{ToSql, types::ToSqlOutput};
use std::{fmt, str::FromStr};

/// The longest message, in bytes; a longer one is cut.
pub const MAX_MESSAGE: usize = 256 << 10;

/// The severity of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Details for debugging.
    Debug = 0,
    /// Normal operation.
    Info = 1,
    /// A possible problem.
    Warn = 2,
    /// A failure.
    Error = 3,
}

impl Level {
    /// The level's name, as nodes write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            ..=0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warn,
            3.. => Self::Error,
        }
    }
}

impl ToSql for Level {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as u8).into())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level\nhint: `DEBUG`, `INFO`, `WARN` or `ERROR`")]
pub struct LevelError(String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let all = [Self::Debug, Self::Info, Self::Warn, Self::Error];
        let found = all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| LevelError(text.to_owned()))
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
    let level = Level::from_number(cursor.u8()?.into());
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
    fn a_record_comes_back() {
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

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert!("warning".parse::<Level>().is_err());
    }
}
