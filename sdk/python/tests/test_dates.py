"""Dates from user code."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krt._documents import nanoseconds, parse_iso

zones = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


@given(st.datetimes(timezones=zones))
def test_the_format_of_python_is_read(moment):
    assert parse_iso(moment.isoformat()) == moment


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_naive_is_utc(moment):
    aware = moment.replace(tzinfo=timezone.utc)
    assert nanoseconds(moment) == nanoseconds(aware)
    assert timedelta(microseconds=nanoseconds(moment) // 1000) == moment - datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31)),
        ("2024-01-31T12:30", datetime(2024, 1, 31, 12, 30)),
        ("2024-01-31 12:30:05.5", datetime(2024, 1, 31, 12, 30, 5, 500_000)),
        ("2024-01-31T12:30:05.123456789Z", datetime(2024, 1, 31, 12, 30, 5, 123_456, timezone.utc)),
        ("2024-01-31T12:30:05z", datetime(2024, 1, 31, 12, 30, 5, tzinfo=timezone.utc)),
        ("2024-01-31T12:30:05+0000", datetime(2024, 1, 31, 12, 30, 5, tzinfo=timezone.utc)),
        ("2024-01-31T14:30:05+02", datetime(2024, 1, 31, 12, 30, 5, tzinfo=timezone.utc)),
    ],
)
def test_other_formats_are_read(text, expected):
    assert parse_iso(text) == expected
    assert (parse_iso(text).tzinfo is None) == (expected.tzinfo is None)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01", "2024-01-31T25:00", "20240131", "٢٠٢٤-01-31"]
)
def test_invalid_dates_are_errors(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_iso(text)
