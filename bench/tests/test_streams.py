"""Parses the report of `krt bench`."""

from __future__ import annotations

import pytest
from measure import BenchError
from measure.streams import StreamLoad, parse


def report(messages_per_second: float) -> dict[str, object]:
    """What the driver reads of a report: 30 answers in two seconds."""
    percentiles = [{"percentile": 90.0, "ms": 4.0}, {"percentile": 50.0, "ms": 1.5}]
    figures = {
        "seconds": 2.0,
        "answered": 30,
        "messages_per_second": messages_per_second,
        "first_message": {"percentiles": percentiles},
    }
    return {"servers": [figures]}


def test_the_rate_and_the_first_message():
    assert parse(report(3000.0), messages=200) == StreamLoad(rate=3000.0, first=1.5)


def test_streams_that_lack_messages():
    with pytest.raises(BenchError, match="the streams had 5999 messages, not 6000"):
        parse(report(2999.5), messages=200)
