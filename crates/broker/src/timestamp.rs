//! Times in an envelope: UTC, six digits of the second, no zone.

use krt_model::message::Timestamp;
use time::{
    OffsetDateTime, PrimitiveDateTime, UtcDateTime,
    format_description::{BorrowedFormatItem, well_known::Iso8601},
    macros::format_description,
};

/// Older readers reject any other form.
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");

/// Writes a time, to the microsecond.
pub(crate) fn write(timestamp: Timestamp) -> String {
    let written =
        UtcDateTime::from_unix_timestamp_nanos(timestamp.0.into()).ok().map(|date| date.format(FORMAT));
    written.and_then(Result::ok).unwrap_or_default()
}

/// Parses a time since 1970, with or without a zone, and with any number of digits; `None` if it is invalid.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let nanos = match OffsetDateTime::parse(text, &Iso8601::DEFAULT) {
        Ok(date) => date.unix_timestamp_nanos(),
        Err(_) => {
            PrimitiveDateTime::parse(text, &Iso8601::DATE_TIME).ok()?.assume_utc().unix_timestamp_nanos()
        }
    };
    u64::try_from(nanos).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_upstream_does() {
        for (nanos, expected) in [
            (1_709_209_815_250_000_000, "2024-02-29T12:30:15.250000"),
            (0, "1970-01-01T00:00:00.000000"),
            (1_999, "1970-01-01T00:00:00.000001"),
        ] {
            assert_eq!(write(Timestamp(nanos)), expected);
        }
    }

    #[test]
    fn times_are_read_in_every_format() {
        let expected = Some(Timestamp(1_709_209_815_250_000_000));
        for text in [
            "2024-02-29T12:30:15.250000",
            "2024-02-29T12:30:15.25",
            "2024-02-29T12:30:15.250Z",
            "2024-02-29T13:30:15.25+01:00",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["", "yesterday", "1969-12-31T23:59:59.000000", "2024-02-30T00:00:00.000000"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn timestamps_round_trip(micros in 0_u64..18_000_000_000_000_000) {
            let timestamp = Timestamp(micros * 1000);
            prop_assert_eq!(read(&write(timestamp)), Some(timestamp));
        }
    }
}
