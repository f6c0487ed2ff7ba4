"""Computes figures from the loads of several rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TypeVar

from .targets import Measured

T = TypeVar("T")


def requests(rate: float, clients: int, seconds: float) -> int:
    """Returns the number of calls that take about `seconds`; an equal share for each client."""
    return max(1, round(rate * seconds / clients)) * clients


def median(loads: dict[str, list[T]], figure: Callable[[T], float]) -> Measured:
    """Returns the median of a figure over all rounds, for each contender."""
    medians = {name: statistics.median(map(figure, rounds)) for name, rounds in loads.items()}
    return Measured(medians.get("ours"), medians["reference"])
