"""The command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from . import targets
from .environment import ROOT


@dataclass(frozen=True)
class Options:
    """The parsed command line."""

    rows: tuple[str, ...]
    rounds: int
    seconds: float
    binaries: Path
    references_only: bool
    json: bool


def parse() -> Options:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="bench.py", description="Measures krt against its references."
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"of {', '.join(targets.ROWS)}; all when none is given",
    )
    parser.add_argument("--rounds", type=_count, default=5, help="rounds per row (default: 5)")
    parser.add_argument(
        "--seconds", type=_seconds, default=3.0, help="of load per contender and round (default: 3)"
    )
    parser.add_argument(
        "--binaries",
        type=Path,
        default=ROOT / "target/dist",
        metavar="DIR",
        help="where krt and the krt-bench-… programs are (default: target/dist)",
    )
    parser.add_argument(
        "--references", action="store_true", help="measure the references only, without krt"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    typed = parser.parse_args()
    unknown = [row for row in typed.rows if row not in targets.ROWS]
    if unknown:
        parser.error(f"no row is called `{unknown[0]}`; rows: {', '.join(targets.ROWS)}")
    return Options(
        rows=tuple(typed.rows) or targets.ROWS,
        rounds=typed.rounds,
        seconds=typed.seconds,
        binaries=typed.binaries.resolve(),
        references_only=typed.references,
        json=typed.json,
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds
