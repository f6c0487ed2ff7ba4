"""Tests of the driver without servers. Like the driver they need Python 3.10."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
collect_ignore_glob = ["test_*.py"] if sys.version_info < (3, 10) else []
