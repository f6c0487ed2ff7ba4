//! Parses and validates the values of flags.

use krt_model::{duration, hint};
use miette::Diagnostic;
use std::{str::FromStr, time::Duration};

/// Parses a value whose error has a hint.
pub(crate) fn hinted<T>(text: &str) -> Result<T, String>
where
    T: FromStr,
    T::Err: Diagnostic,
{
    text.parse().map_err(|error| hint::line(&error))
}

/// Parses `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE"),
    }
}

/// Parses a duration from a millisecond to ten years, such as `30` (seconds), `2m` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).map_err(|error| error.to_string())?;
    let range = Duration::from_millis(1)..=Duration::from_secs(10 * 365 * 24 * 3600);
    if range.contains(&duration) { Ok(duration) } else { Err("expected 1ms to 3650d".to_owned()) }
}

/// Parses a runtime id: one token of a NATS subject, without the capitals that distinguish our own streams.
pub(crate) fn runtime_id(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let ok = !text.is_empty() && text.len() <= 64 && text.bytes().all(fits);
    if ok { Ok(text.to_owned()) } else { Err("expected 1 to 64 lowercase letters, digits, - and _") }
}

/// The upper bound of a message limit, bytes: the length field of a frame has four bytes, and so has gRPC's.
const MAX_MESSAGE: usize = 1 << 30;

/// Parses a message limit, at most [`MAX_MESSAGE`].
pub(crate) fn message_size(text: &str) -> Result<usize, String> {
    let size = size(text)?;
    if size <= MAX_MESSAGE { Ok(size) } else { Err("at most 1GiB".to_owned()) }
}

/// Parses a size in bytes, such as `512KiB` or `16MiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: usize = match unit.trim() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err("expected bytes, or a number with KiB, MiB or GiB".to_owned()),
    };
    let size = digits.parse().ok().and_then(|number: usize| number.checked_mul(factor));
    size.filter(|&size| size > 0).ok_or_else(|| "expected a size above 0, such as 16MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in
            [("1", 1), ("2B", 2), ("512KiB", 512 << 10), ("16 MiB", 16 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for bad in ["", "0", "-1", "1.5MiB", "MiB", "1TB", "99999999999999999999", "99999999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_range() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("365d"), Ok(Duration::from_secs(365 * 24 * 3600)));
        for outside in ["0", "0.9ms", "3651d"] {
            assert_eq!(duration(outside), Err("expected 1ms to 3650d".to_owned()), "{outside}");
        }
        assert!(duration("soon").is_err());
    }
}
