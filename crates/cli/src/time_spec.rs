//! Parses and formats times and durations.

use crate::error::{Result, bail};
use clap::Args;
use krt_api::Time;
use krt_model::duration;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::{
    OffsetDateTime, UtcDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

/// The arguments for a time range.
#[derive(Debug, Args)]
#[command(next_help_heading = "Time")]
pub(crate) struct SpanArgs {
    /// Only from this time on: 2026-01-31T12:00:00Z, 2026-01-31, or an age: 15m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<TimeSpec>,

    /// Only before this time, in the same formats
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<TimeSpec>,
}

/// A time as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeSpec {
    /// A duration before now.
    Ago(Duration),
    /// Nanoseconds since the Unix epoch.
    At(i64),
}

/// A time range, nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Inclusive.
    pub(crate) from: Option<i64>,
    /// Exclusive.
    pub(crate) to: Option<i64>,
}

impl SpanArgs {
    /// Whether a time was given.
    pub(crate) fn is_set(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// The range in absolute times.
    pub(crate) fn resolve(&self) -> Result<Span> {
        let now = now();
        let from = self.since.map(|time| time.before(now));
        let to = self.until.map(|time| time.before(now));
        if let Some((from, to)) = from.zip(to).filter(|(from, to)| from >= to) {
            bail!("--since {} is not before --until {}", show(from), show(to));
        }
        Ok(Span { from, to })
    }
}

impl TimeSpec {
    fn before(self, now: i64) -> i64 {
        match self {
            Self::Ago(span) => now.saturating_sub(nanos(span)),
            Self::At(time) => time,
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// The time after a duration from now.
pub(crate) fn after(span: Duration) -> Time {
    Time::from_nanos(now().saturating_add(nanos(span)))
}

fn now() -> i64 {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

const NO_TIME: &str =
    "expected a time such as 2026-01-31T12:00:00Z or 2026-01-31, or how long ago, such as 15m, 2h or 7d";

/// Parses a time; without a time zone, it is UTC.
fn time(text: &str) -> Result<TimeSpec, &'static str> {
    // A number alone could be a year.
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if let Some(age) = duration::parse(text).ok().filter(|_| has_unit) {
        return Ok(TimeSpec::Ago(age));
    }
    let spellings = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    let time = spellings.iter().find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok()).ok_or(NO_TIME)?;
    i64::try_from(time.unix_timestamp_nanos())
        .map(TimeSpec::At)
        .map_err(|_| "expected a time between the years 1678 and 2261")
}

const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const NANOS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");

/// Formats a time in UTC per RFC 3339, with as many decimals as needed: three, six or nine.
pub(crate) fn show(nanos: i64) -> String {
    let format = match nanos {
        nanos if nanos % 1_000_000 == 0 => MILLIS,
        nanos if nanos % 1000 == 0 => MICROS,
        _ => NANOS,
    };
    let time =
        UtcDateTime::from_unix_timestamp_nanos(i128::from(nanos)).expect("such years have four digits");
    time.format(format).expect("a whole date has every part")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        let noon = 1_769_860_800_000_000_000;
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.000",
            "2026-01-31T14:00:00+02:00",
        ] {
            assert_eq!(time(text), Ok(TimeSpec::At(noon)), "{text}");
        }
        assert_eq!(time("2026-01-31"), Ok(TimeSpec::At(noon - 12 * 3600 * 1_000_000_000)));
        assert_eq!(time("15m"), Ok(TimeSpec::Ago(Duration::from_secs(900))));
        for bad in ["", "15", "2026", "yesterday", "2026-02-30", "2026-01-31T25:00:00Z", "12:00"] {
            assert_eq!(time(bad), Err(NO_TIME), "{bad}");
        }
        assert!(time("3000-01-01").is_err());
    }

    #[test]
    fn digits() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_769_860_800_000_001_000, "2026-01-31T12:00:00.000001Z"),
        ] {
            assert_eq!(show(nanos), text);
        }
    }

    proptest! {
        #[test]
        fn displayed_times_can_be_parsed(nanos: i64) {
            prop_assert_eq!(time(&show(nanos)), Ok(TimeSpec::At(nanos)));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,20}") {
            let _ = time(&text);
        }
    }
}
