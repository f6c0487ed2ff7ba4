"""Runs the requested rows."""

from __future__ import annotations

import signal
import sys

from . import load, peer_report, report, servers
from .options import Options
from .peer_rows import PEER_ROWS
from .peers import Comparison
from .rows import ROWS
from .targets import Measured


def run(options: Options) -> None:
    """Measures and prints the figures."""
    signal.signal(signal.SIGTERM, _stop)
    load.check()
    servers.forget_data()
    if options.peers:
        return _compare_peers(options)
    figures: dict[str, Measured] = {}
    for row in options.rows:
        print(f"measuring {row}", file=sys.stderr)
        figures.update(ROWS[row](options))
    print(report.as_json(figures, options) if options.json else report.as_table(figures))


def _compare_peers(options: Options) -> None:
    comparison = Comparison(options)
    tables = []
    for row in options.rows:
        print(f"measuring {row}", file=sys.stderr)
        tables.append(PEER_ROWS[row](comparison, options))
    if options.json:
        print(peer_report.as_json(tables, options, comparison.versions))
    else:
        print(peer_report.as_markdown(tables))


def _stop(*_: object) -> None:
    """Raises, so that all started servers are stopped."""
    sys.exit(128 + signal.SIGTERM)
