//! Times as the API and people see them.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Unexpected},
};
use std::{fmt, str::FromStr};
use time::{
    OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

/// Microseconds since the Unix epoch. Written as RFC 3339 in UTC, with six digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("`{0}` is not a time")]
#[diagnostic(help("RFC 3339, such as `2026-01-31T12:00:00Z`"))]
pub struct InvalidTime(String);

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

impl Time {
    /// The microsecond that contains these nanoseconds since the Unix epoch.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos.div_euclid(1000))
    }

    /// Nanoseconds since the Unix epoch.
    pub fn nanos(self) -> i64 {
        self.0.saturating_mul(1000)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000);
        let text = time.ok().and_then(|time| time.format(FORMAT).ok());
        f.write_str(text.as_deref().unwrap_or("9999-12-31T23:59:59.999999Z"))
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.to_owned());
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?;
        i64::try_from(time.unix_timestamp_nanos() / 1000).map(Self).map_err(|_| invalid())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a time, as in RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        let time = Time(1_704_067_200_123_456);
        assert_eq!(time.to_string(), "2024-01-01T00:00:00.123456Z");
        assert_eq!("2024-01-01T01:00:00.123456+01:00".parse(), Ok(time));
        for bad in ["", "2024-01-01", "now", "2024-13-01T00:00:00Z"] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn times_round_trip(micros in 0i64..4_000_000_000_000_000) {
            prop_assert_eq!(Time(micros).to_string().parse(), Ok(Time(micros)));
        }
    }
}
