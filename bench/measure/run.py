"""Runs the rows that were asked for."""

from __future__ import annotations

import signal
import sys

from . import load, report, servers
from .options import Options
from .rows import ROWS
from .targets import Measured


def run(options: Options) -> None:
    """Measures and prints."""
    signal.signal(signal.SIGTERM, _stop)
    load.check()
    servers.forget_data()
    figures: dict[str, Measured] = {}
    for row in options.rows:
        print(f"measuring {row}", file=sys.stderr)
        figures.update(ROWS[row](options))
    print(report.as_json(figures, options) if options.json else report.as_table(figures))


def _stop(*_: object) -> None:
    """Unwinds, so that the servers that were started are stopped."""
    sys.exit(128 + signal.SIGTERM)
