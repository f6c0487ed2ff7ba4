"""Signals: Ctrl-C does not end a worker, and its children start with the system's defaults."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
"""`subprocess` restores the defaults of these in a child."""


def install() -> None:
    """Makes SIGINT do nothing, and resets the signals that the engine inherited.

    An executed program inherits ignored and blocked signals, but no handlers. So SIGINT gets a
    handler that does nothing instead of being ignored: the engine handles Ctrl-C and lets workers
    finish, while a child of user code ends.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.Signals:
        ignored = signal.getsignal(number) is signal.SIG_IGN
        if ignored and number.name not in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _do_nothing)
    # Native system calls resume after the signal.
    signal.siginterrupt(signal.SIGINT, False)
    os.register_at_fork(after_in_child=_restore)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


def _restore() -> None:
    """Gives a forked child Python's own handler, unless user code installed another."""
    if signal.getsignal(signal.SIGINT) is _do_nothing:
        signal.signal(signal.SIGINT, signal.default_int_handler)
