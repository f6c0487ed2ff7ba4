"""From the loads of several rounds to figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from .load import Load
from .targets import Measured


def requests(rate: float, clients: int, seconds: float) -> int:
    """How many calls take about that long; each client makes the same number."""
    return max(1, round(rate * seconds / clients)) * clients


def median(loads: dict[str, list[Load]], figure: Callable[[Load], float]) -> Measured:
    """The median of a figure over all rounds of each contender."""
    medians = {name: statistics.median(map(figure, rounds)) for name, rounds in loads.items()}
    return Measured(medians.get("ours"), medians["reference"])
