"""The ways in which a host ends that are not its normal one, and the statuses that say which."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

CANNOT_START = 1
"""The user's code could not be loaded, or its `init` failed."""
USAGE = 64
"""The process was not started by an engine."""
BREACH = 70
"""The engine did not keep to the protocol."""

_STDERR = 2


def leave(status: int) -> NoReturn:
    """Ends the process at once, whatever user threads still do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def leave_for_breach(what: str) -> NoReturn:
    """Ends the process because of the engine, after saying why."""
    os.write(_STDERR, f"krt: the engine broke the node protocol: {what}\n".encode())
    leave(BREACH)
