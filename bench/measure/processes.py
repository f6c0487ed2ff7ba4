"""Figures of a process from /proc."""

from __future__ import annotations

import re
from pathlib import Path

from . import BenchError


def resident(pid: int) -> float:
    """Returns the resident memory of a process in MB."""
    kibibytes = re.search(r"^VmRSS:\s+(\d+) kB$", _status(pid), re.MULTILINE)
    if kibibytes is None:
        raise BenchError(f"process {pid} has ended")
    return int(kibibytes[1]) * 1024 / 1e6


def descendants(pid: int) -> set[int]:
    """Returns the child processes of a process, directly and indirectly."""
    parents = {int(path.name): _parent(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _parent(pid: int) -> int | None:
    parent = re.search(r"^PPid:\s+(\d+)$", _status(pid), re.MULTILINE)
    return int(parent[1]) if parent else None


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
