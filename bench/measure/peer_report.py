"""Prints the comparison with other model servers: as Markdown, or as JSON for scripts."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import dataclass

from .options import Options
from .targets import BOUNDS

_ABSENT = "–"


@dataclass(frozen=True)
class Check:
    """A target on a ratio."""

    of: str
    bound: str
    limit: float
    ratio: float

    @property
    def reached(self) -> bool:
        """Whether the ratio meets the bound."""
        return BOUNDS[self.bound](self.ratio, self.limit)


@dataclass(frozen=True)
class Table:
    """The medians of a row, by server and figure."""

    row: str
    figures: dict[str, dict[str, float]]
    checks: list[Check]


def as_markdown(tables: list[Table]) -> str:
    """Returns a table for each row, each followed by its targets."""
    return "\n\n".join(map(_table, tables))


def as_json(tables: list[Table], options: Options, versions: list[str]) -> str:
    """Returns one object, with the machine, the versions and the options."""
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "cpu": platform.machine(),
        },
        "peers": versions,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rows": {table.row: _object(table) for table in tables},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _table(table: Table) -> str:
    columns = list(dict.fromkeys(name for each in table.figures.values() for name in each))
    lines = [
        f"**{table.row}**",
        "",
        _line(["server", *columns]),
        _line(["---", *["---:"] * len(columns)]),
    ]
    for label, figures in table.figures.items():
        lines.append(_line([label, *(_number(figures.get(name)) for name in columns)]))
    if table.checks:
        lines += ["", *map(_check, table.checks)]
    return "\n".join(lines)


def _check(check: Check) -> str:
    reached = "reached" if check.reached else "not reached"
    return f"- {check.ratio:.2f} × {check.of} (target {check.bound} {check.limit:g} ×): {reached}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _object(table: Table) -> dict[str, object]:
    # JSON has no infinity.
    figures = {
        label: {name: value if math.isfinite(value) else None for name, value in each.items()}
        for label, each in table.figures.items()
    }
    checks = [
        {
            "of": check.of,
            "bound": check.bound,
            "limit": check.limit,
            "ratio": check.ratio,
            "reached": check.reached,
        }
        for check in table.checks
    ]
    return {"figures": figures, "targets": checks}


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    if math.isinf(value):
        return "never"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
