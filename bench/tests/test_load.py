"""Parses the output of h2load."""

from __future__ import annotations

import pytest
from measure import BenchError
from measure.load import Load, check_answers, parse

REPORT = """\
finished in {finished}, 4.02MB/s
requests: 960 total, 960 started, 960 done, 960 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 960 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 81.34KB (83296) total, 5.16KB (5280) headers (space savings 95.1%), 49.69KB (50880) data
"""


def report(finished: str = "2.50s, 384.00 req/s") -> str:
    """A report in h2load's format."""
    return REPORT.format(finished=finished)


def log(*microseconds: int) -> str:
    """A log in h2load's format: start time, status, duration."""
    return "".join(f"1700000000000\t200\t{time}\n" for time in microseconds)


class Call:
    """A call whose answer has 53 bytes."""

    method = "/chain.Entrypoint/Run"

    def answer_size(self) -> int:
        return 53


def test_a_report_and_its_log():
    assert parse(report(), log(900, 100, 1500)) == Load(rate=384.0, p50=0.9, seconds=2.5)


@pytest.mark.parametrize(
    ("finished", "seconds"),
    [
        ("812us, 1.00 req/s", 0.000812),
        ("812.50ms, 1.00 req/s", 0.8125),
        ("2.50s, 1.00 req/s", 2.5),
        ("1.50m, 1.00 req/s", 90.0),
        ("2h, 1.00 req/s", 7200.0),
    ],
)
def test_times_have_units(finished, seconds):
    assert parse(report(finished), log(1)).seconds == pytest.approx(seconds)


def test_the_median_covers_every_call_in_any_order():
    assert parse(report(), log(5000, 1000, 4000, 2000, 3000)).p50 == 3.0
    assert parse(report(), log(4000, 1000)).p50 == 4.0


def test_a_report_in_another_format():
    with pytest.raises(BenchError, match="of an unknown form\ngibberish"):
        parse("gibberish", log(1))


def test_answers_of_the_right_size():
    check_answers(report(), Call(), 960)


def test_answers_of_another_size_are_errors():
    wrong = report().replace("(50880) data", "(50827) data")
    with pytest.raises(BenchError, match=r"960 answers of .* have 50827 bytes, not 50880\nhint: "):
        check_answers(wrong, Call(), 960)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("960 succeeded, 0 failed", "959 succeeded, 1 failed"),
        ("960 succeeded", "1960 succeeded"),
        ("(50880) data", ""),
    ],
)
def test_failed_calls(before, after):
    with pytest.raises(BenchError, match=r"some calls of /chain\.Entrypoint/Run failed"):
        check_answers(report().replace(before, after), Call(), 960)
