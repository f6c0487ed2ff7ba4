use super::*;

#[test]
fn times_convert_both_ways() {
    for (text, seconds, nanos) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
        ("2024-02-29T12:30:15.250Z", 1_709_209_815, 250_000_000),
        ("1969-12-31T23:59:59.000001Z", -1, 1_000),
    ] {
        let moment = SecondsNanos { seconds, nanos };
        assert_eq!(parse_timestamp(text), Some(moment), "{text}");
        assert_eq!(moment.to_timestamp().as_deref(), Some(text));
    }
}

#[test]
fn zones_and_digits() {
    for (text, seconds, nanos) in [
        ("1970-01-01T01:00:00+01:00", 0, 0),
        ("1969-12-31T19:30:00-04:30", 0, 0),
        ("1970-01-01T00:00:00.5-00:00", 0, 500_000_000),
        ("1970-01-01T00:00:00.1234567Z", 0, 123_456_700),
    ] {
        assert_eq!(parse_timestamp(text), Some(SecondsNanos { seconds, nanos }), "{text}");
    }
}

#[test]
fn invalid_times() {
    for text in [
        "",
        "Z",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01t00:00:00Z",
        "1970-01-01T00:00:00z",
        "1970-01-01 00:00:00Z",
        "1970-1-1T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.0000000001Z",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00+1:00",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "1970-01-01T00:00:0é0Z",
        "+970-01-01T00:00:00Z",
    ] {
        assert_eq!(parse_timestamp(text), None, "{text}");
    }
    for (seconds, nanos) in [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, NANOS)] {
        assert_eq!(SecondsNanos { seconds, nanos }.to_timestamp(), None);
    }
}

#[test]
fn spans() {
    for (text, seconds, nanos) in [
        ("0s", 0, 0),
        ("1s", 1, 0),
        ("1.010s", 1, 10_000_000),
        ("-3.100s", -3, -100_000_000),
        ("-0.000001s", 0, -1_000),
        ("1.000000001s", 1, 1),
        ("315576000000.999999999s", 315_576_000_000, 999_999_999),
        ("-315576000000s", -315_576_000_000, 0),
    ] {
        let moment = SecondsNanos { seconds, nanos };
        assert_eq!(parse_duration(text), Some(moment), "{text}");
        assert_eq!(moment.to_duration().as_deref(), Some(text));
    }
    assert_eq!(parse_duration("1.5s"), Some(SecondsNanos { seconds: 1, nanos: 500_000_000 }));
    for text in [
        "",
        "s",
        "1",
        "1.s",
        ".5s",
        "+1s",
        " 1s",
        "1 s",
        "--1s",
        "1.0000000001s",
        "1e3s",
        "315576000001s",
        "1S",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    for (seconds, nanos) in [(1, -1), (-1, 1), (0, NANOS), (315_576_000_001, 0), (i64::MIN, -1)] {
        assert_eq!(SecondsNanos { seconds, nanos }.to_duration(), None);
    }
}
