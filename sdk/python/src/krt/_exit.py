"""Abnormal exits of a worker and their exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

from ._output import flush

CANNOT_START = 1
"""User code did not load, or its `init` failed."""
USAGE = 64
"""No engine started the process."""
VIOLATION = 70
"""The engine violated the protocol."""

_STDERR = 2


def leave(status: int) -> NoReturn:
    """Ends the process at once, even if user threads still run."""
    flush()
    os._exit(status)


def leave_child(error: BaseException | None) -> NoReturn:
    """Ends a forked child in which user code returned to the worker, as Python ends a program."""
    if error is None:
        leave(0)
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        leave(error.code or 0)
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{error.code}\n")
    else:
        traceback.print_exception(type(error), error, error.__traceback__)
    leave(1)


def leave_for_violation(what: str) -> NoReturn:
    """Reports the protocol violation of the engine and ends the process."""
    os.write(_STDERR, f"krt: the engine broke the node protocol: {what}\n".encode())
    leave(VIOLATION)
