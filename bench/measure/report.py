"""Prints figures: as a table for people, or as JSON for scripts."""

from __future__ import annotations

import json
import os
import platform

from .options import Options
from .targets import FIGURES, Figure, Measured

_HEADER = ("row", "what", "unit", "krt", "reference", "ratio", "target", "reached")
_NUMBERS = {"krt", "reference", "ratio"}
_ABSENT = "–"


def as_table(figures: dict[str, Measured]) -> str:
    """Returns one line per figure, in columns."""
    lines = [_HEADER, *(_cells(FIGURES[key], measured) for key, measured in figures.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def as_json(figures: dict[str, Measured], options: Options) -> str:
    """Returns one object, with the machine and the options."""
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "cpu": platform.machine(),
        },
        "rounds": options.rounds,
        "seconds": options.seconds,
        "figures": {key: _object(FIGURES[key], measured) for key, measured in figures.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    aligned = [
        cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
        for column, cell, width in zip(_HEADER, cells, widths, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def _cells(figure: Figure, measured: Measured) -> tuple[str, ...]:
    reached = _reached(figure, measured)
    return (
        figure.row,
        figure.what,
        figure.unit,
        _number(measured.ours),
        _number(measured.reference),
        _number(_ratio(measured)),
        _target(figure),
        _ABSENT if reached is None else "yes" if reached else "no",
    )


def _object(figure: Figure, measured: Measured) -> dict[str, object]:
    return {
        "what": figure.what,
        "unit": figure.unit,
        "krt": measured.ours,
        "reference": measured.reference,
        "reference_name": figure.reference,
        "ratio": _ratio(measured),
        "target": _target(figure) if figure.target else None,
        "reached": _reached(figure, measured),
    }


def _ratio(measured: Measured) -> float | None:
    if measured.ours is None or measured.reference is None:
        return None
    return measured.ours / measured.reference


def _reached(figure: Figure, measured: Measured) -> bool | None:
    if figure.target is None or measured.ours is None:
        return None
    return figure.target.reached(measured.ours, measured.reference)


def _target(figure: Figure) -> str:
    target = figure.target
    if target is None:
        return _ABSENT
    of = f"× {figure.reference}" if target.of_ratio else figure.unit
    return f"{target.bound} {target.limit:g} {of}"


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
