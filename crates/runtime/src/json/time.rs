//! The text forms of `google.protobuf.Timestamp` (RFC 3339) and `google.protobuf.Duration`.

use std::fmt::Write as _;
use time::{Date, Month, UtcDateTime};

/// From year 1 to year 9999, in seconds.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years, in seconds.
const DURATIONS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;
const NANOS: i32 = 1_000_000_000;

/// Seconds and nanoseconds: since the Unix epoch, or of a duration, whose parts have one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SecondsNanos {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

/// Parses a time: `2024-01-31T12:00:00.5Z`, or with an offset instead of the `Z`.
pub(super) fn parse_timestamp(text: &str) -> Option<SecondsNanos> {
    let (clock, rest) = text.split_at_checked(19)?;
    let shaped = clock.bytes().zip(*b"0000-00-00T00:00:00").all(|(found, shape)| match shape {
        b'0' => found.is_ascii_digit(),
        separator => found == separator,
    });
    let part = |range: std::ops::Range<usize>| clock[range].parse::<u8>().ok();
    let year: i32 = clock.get(..4).filter(|_| shaped)?.parse().ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(part(5..7)?).ok()?, part(8..10)?).ok()?;
    let time = date.with_hms(part(11..13)?, part(14..16)?, part(17..19)?).ok()?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            (parse_nanos(&rest[..length])?, &rest[length..])
        }
        None => (0, rest),
    };
    let seconds = time.assume_utc().unix_timestamp() - parse_offset(zone)?;
    SecondsNanos { seconds, nanos }.as_timestamp()
}

/// Parses a duration: `1.5s`, `-3s`.
pub(super) fn parse_duration(text: &str) -> Option<SecondsNanos> {
    let number = text.strip_suffix('s')?;
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (whole, nanos) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, parse_nanos(fraction)?),
        None => (unsigned, 0),
    };
    let digits = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = whole.parse().ok().filter(|_| digits)?;
    let sign = if unsigned.len() < number.len() { -1 } else { 1 };
    SecondsNanos { seconds: seconds * sign, nanos: nanos * sign as i32 }.as_duration()
}

/// Parses one to nine digits after the point.
fn parse_nanos(digits: &str) -> Option<i32> {
    let valid = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i32 = digits.parse().ok().filter(|_| valid)?;
    Some(number * 10_i32.pow(9 - u32::try_from(digits.len()).ok()?))
}

/// Parses a zone's offset in seconds.
fn parse_offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let shaped = zone.len() == 6
        && zone.bytes().zip(*b"+00:00").all(|(found, shape)| match shape {
            b'0' => found.is_ascii_digit(),
            b'+' => matches!(found, b'+' | b'-'),
            separator => found == separator,
        });
    let hours: i64 = zone.get(1..3).filter(|_| shaped)?.parse().ok()?;
    let minutes: i64 = zone.get(4..6)?.parse().ok()?;
    let seconds = (hours * 60 + minutes) * 60;
    (hours < 24 && minutes < 60).then_some(if zone.starts_with('-') { -seconds } else { seconds })
}

impl SecondsNanos {
    fn as_timestamp(self) -> Option<Self> {
        (TIMESTAMPS.contains(&self.seconds) && (0..NANOS).contains(&self.nanos)).then_some(self)
    }

    fn as_duration(self) -> Option<Self> {
        let one_sign = self.seconds.signum() * i64::from(self.nanos.signum()) >= 0;
        (DURATIONS.contains(&self.seconds) && self.nanos.abs() < NANOS && one_sign).then_some(self)
    }

    /// Writes a time in UTC; `None` if invalid.
    pub(super) fn to_timestamp(self) -> Option<String> {
        let Self { seconds, nanos } = self.as_timestamp()?;
        let at = UtcDateTime::from_unix_timestamp(seconds).ok()?;
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.as_hms();
        let mut text = format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", u8::from(month));
        push_nanos(&mut text, nanos.unsigned_abs());
        text.push('Z');
        Some(text)
    }

    /// Writes a duration; `None` if invalid.
    pub(super) fn to_duration(self) -> Option<String> {
        let Self { seconds, nanos } = self.as_duration()?;
        let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
        let mut text = format!("{sign}{}", seconds.unsigned_abs());
        push_nanos(&mut text, nanos.unsigned_abs());
        text.push('s');
        Some(text)
    }
}

/// Appends nanoseconds in 3, 6 or 9 digits; nothing for zero.
fn push_nanos(text: &mut String, nanos: u32) {
    let written = match nanos {
        0 => Ok(()),
        _ if nanos.is_multiple_of(1_000_000) => write!(text, ".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => write!(text, ".{:06}", nanos / 1_000),
        _ => write!(text, ".{nanos:09}"),
    };
    written.expect("a text takes all");
}

#[cfg(test)]
mod tests;
