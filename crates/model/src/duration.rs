//! Durations as users write them, in flags and in `krt.yml`.

use std::time::Duration;

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration, such as 30 or 0.5 (seconds), 500ms, 2m or 1h30m")]
pub struct InvalidDuration;

/// Parses a duration: numbers with the units `ms`, `s`, `m`, `h`, `d` and `w`, or one number alone, in seconds.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let text = text.trim();
    if let Some(seconds) = number(text) {
        return times(seconds, 1.0);
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    loop {
        let (count, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after.trim_start(), |c| c.is_ascii_alphabetic());
        let (count, unit) = number(count).zip(seconds(unit)).ok_or(InvalidDuration)?;
        total = total.checked_add(times(count, unit)?).ok_or(InvalidDuration)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

fn times(count: f64, unit: f64) -> Result<Duration, InvalidDuration> {
    Duration::try_from_secs_f64(count * unit).map_err(|_| InvalidDuration)
}

/// A number in digits, with decimals or without.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
}

fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

/// The length of a unit, in seconds.
fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 24.0 * 3600.0,
        "w" => 7.0 * 24.0 * 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_units() {
        for (text, millis) in [
            ("30", 30_000),
            ("0.5", 500),
            ("0", 0),
            ("30s", 30_000),
            ("30 s", 30_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_durations() {
        for text in [
            "",
            "s",
            "m",
            ".",
            "-1",
            "+1",
            "-1m",
            "1e3",
            "inf",
            "nan",
            "1.2.3",
            "1y",
            "15M",
            "5 seconds",
            "1h30",
            "30 1h",
            "1h,30m",
            "1é",
            "soon",
            "99999999999999999999w",
        ] {
            assert_eq!(parse(text), Err(InvalidDuration), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = parse(&text);
        }

        #[test]
        fn parts_are_added(hours in 0..1000_u64, minutes in 0..1000_u64, millis in 0..1_000_000_u64) {
            let sum = Duration::from_millis(hours * 3_600_000 + minutes * 60_000 + millis);
            prop_assert_eq!(parse(&format!("{hours}h{minutes}m{millis}ms")), Ok(sum));
        }
    }
}
