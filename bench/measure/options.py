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
    # Compares with other model servers in place of the references.
    peers: bool = False


def parse() -> Options:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="bench.py", description="Measures krt against its references."
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"of {', '.join(targets.ROWS)}; with --peers of {', '.join(targets.PEER_ROWS)}; "
        "all when none is given",
    )
    parser.add_argument(
        "--peers", action="store_true", help="compare batching with that of other model servers"
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
    known = targets.PEER_ROWS if typed.peers else targets.ROWS
    unknown = [row for row in typed.rows if row not in known]
    if unknown:
        parser.error(f"no row is called `{unknown[0]}`; rows: {', '.join(known)}")
    return Options(
        rows=tuple(typed.rows) or known,
        rounds=typed.rounds,
        seconds=typed.seconds,
        binaries=typed.binaries.resolve(),
        references_only=typed.references,
        json=typed.json,
        peers=typed.peers,
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
