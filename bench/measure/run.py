"""Runs the requested rows."""

from __future__ import annotations

import signal
import sys

from . import load, report, servers
from .options import Options
from .rows import ROWS
from .targets import Measured


def run(options: Options) -> None:
    """Measures and prints the figures."""
    signal.signal(signal.SIGTERM, _stop)
    load.check()
    servers.forget_data()
    figures: dict[str, Measured] = {}
    for row in options.rows:
        print(f"measuring {row}", file=sys.stderr)
        figures.update(ROWS[row](options))
    print(report.as_json(figures, options) if options.json else report.as_table(figures))


def _stop(*_: object) -> None:
    """Raises, so that all started servers are stopped."""
    sys.exit(128 + signal.SIGTERM)
