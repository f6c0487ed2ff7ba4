"""From loads to figures, and from figures to reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measure import rounds
from measure.load import Load
from measure.options import Options
from measure.report import as_json, as_table
from measure.targets import FIGURES, ROWS, Measured, Target

OPTIONS = Options((), rounds=3, seconds=1.0, binaries=Path(), references_only=False, json=True)


def loads(*rates: float) -> list[Load]:
    return [Load(rate=rate, p50=1000 / rate, seconds=1.0) for rate in rates]


def test_the_median_of_the_rounds():
    found = {"ours": loads(10, 1000, 20), "reference": loads(8, 2, 4, 6)}
    assert rounds.median(found, lambda load: load.rate) == Measured(20, 5)
    assert rounds.median(found, lambda load: load.p50).ours == 50


def test_references_need_no_result_of_ours():
    assert rounds.median({"reference": loads(3)}, lambda load: load.rate) == Measured(None, 3)


@pytest.mark.parametrize(
    ("rate", "clients", "seconds", "requests"),
    [(1000, 32, 3, 3008), (1, 32, 0.1, 32), (10.4, 1, 1, 10), (0, 1, 1, 1)],
)
def test_each_client_makes_the_same_number_of_calls(rate, clients, seconds, requests):
    assert rounds.requests(rate, clients, seconds) == requests


@pytest.mark.parametrize(
    ("target", "ours", "reference", "reached"),
    [
        (Target("≥", 3, of_ratio=True), 30, 10, True),
        (Target("≥", 3, of_ratio=True), 29.9, 10, False),
        (Target("≤", 0.75, of_ratio=True), 7.5, 10, True),
        (Target("≤", 0.75, of_ratio=True), 7.6, 10, False),
        (Target("≤", 30), 30, None, True),
        (Target("≤", 30), 30.1, 1000, False),
    ],
)
def test_targets(target, ours, reference, reached):
    assert target.reached(ours, reference) is reached


def test_a_ratio_needs_a_reference():
    with pytest.raises(ValueError, match="a ratio needs a reference"):
        Target("≥", 3, of_ratio=True).reached(1, None)


def test_every_figure_belongs_to_a_row():
    assert all(key.startswith(figure.row + "/") for key, figure in FIGURES.items())
    assert len(ROWS) == len(set(ROWS))


def test_the_table():
    table = as_table(
        {
            "chain-32/rate": Measured(17234.4, 5210),
            "chain-1/p50": Measured(0.4126, 0.5),
            "start/first": Measured(0.5),
            "chain-32/p50": Measured(None, 5.3),
        }
    )
    lines = [
        "row       what                                          unit      krt  reference  ratio"
        "  target             reached",
        "chain-32  3 Python nodes, 32 clients                    req/s  17,234      5,210   3.31"
        "  ≥ 3 × grpc.aio     yes",
        "chain-1   3 Python nodes, 1 client, p50                 ms      0.413        0.5  0.825"
        "  ≤ 0.75 × grpc.aio  no",
        "start     start to first answer, 3 Python nodes, warm  s         0.5          –      –"
        "  ≤ 0.4 s            no",
        "chain-32  3 Python nodes, 32 clients, p50               ms         –        5.3      –"
        "  –                  –",
    ]
    assert [" ".join(line.split()) for line in table.splitlines()] == [
        " ".join(line.split()) for line in lines
    ]
    starts = {line.index(unit) for line, unit in zip(table.splitlines(), ("unit", "req/s", "ms"))}
    assert len(starts) == 1, "columns stand below one another"


def test_the_figures_as_json():
    figures = {"chain-32/rate": Measured(40, 10), "memory/engine": Measured(31)}
    document = json.loads(as_json(figures, OPTIONS))
    assert (document["rounds"], document["seconds"]) == (3, 1.0)
    chain, memory = document["figures"]["chain-32/rate"], document["figures"]["memory/engine"]
    assert (chain["krt"], chain["reference"], chain["ratio"], chain["reached"]) == (40, 10, 4, True)
    assert (chain["reference_name"], chain["target"]) == ("grpc.aio", "≥ 3 × grpc.aio")
    assert (memory["reference"], memory["ratio"], memory["reached"]) == (None, None, False)
