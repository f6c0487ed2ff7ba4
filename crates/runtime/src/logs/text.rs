//! Records written as text: `2024-01-01T00:00:00.123Z LEVEL message` (docs/reference/krt-v1.md#logs).

use krt_model::{log::Level, message::Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The first line of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// When it was made.
    pub time: Timestamp,
    /// Its severity.
    pub level: Level,
    /// The rest of the line.
    pub message: &'a str,
}

/// Parses the first line of a record; `None` if the line continues the previous record.
pub fn parse(line: &str) -> Option<Start<'_>> {
    let (time, rest) = line.split_once(' ')?;
    let (level, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let level = parse_level(level)?;
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    let time = Timestamp(u64::try_from(time.unix_timestamp_nanos()).ok()?);
    Some(Start { time, level, message })
}

/// Parses a level's name in any case, including Python's `WARNING` and `CRITICAL`.
fn parse_level(text: &str) -> Option<Level> {
    Some(match text.to_ascii_uppercase().as_str() {
        "DEBUG" => Level::Debug,
        "INFO" => Level::Info,
        "WARN" | "WARNING" => Level::Warn,
        "ERROR" | "CRITICAL" => Level::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let time = Timestamp(1_704_067_200_123_000_000);
        let start = |level, message| Some(Start { time, level, message });
        let rows = [
            ("2024-01-01T00:00:00.123Z INFO hello there", start(Level::Info, "hello there")),
            ("2024-01-01T00:00:00.123Z WARNING  x", start(Level::Warn, " x")),
            ("2024-01-01T00:00:00.123Z ERROR", start(Level::Error, "")),
            ("2024-01-01T00:00:00.123Z LOUD x", None),
            ("2024-13-01T00:00:00.123Z INFO x", None),
            ("1924-01-01T00:00:00.123Z INFO x", None),
            ("Traceback (most recent call last):", None),
            ("  File \"main.py\", line 3, in handler", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in ".*") {
            let _ = parse(&line);
        }
    }
}
