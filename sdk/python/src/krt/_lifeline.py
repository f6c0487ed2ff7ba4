"""Ends the process group when the engine exits, even in the middle of a handler."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys


def hold(descriptor: int) -> None:
    """Watches the read end of the engine's pipe until the process ends."""
    os.set_inheritable(descriptor, False)
    if sys.platform == "linux" and _ask_kernel(descriptor):
        if _hung_up(descriptor):
            _end()
        return
    _watch(descriptor)


def _ask_kernel(descriptor: int) -> bool:
    """Makes the kernel kill the group: needs no thread, works while user code holds the GIL."""
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(own, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    except OSError:
        return False
    return True


def _hung_up(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return any(events & select.POLLHUP for _, events in poller.poll(0))


def _watch(descriptor: int) -> None:
    import threading

    def run() -> None:
        while os.read(descriptor, 1):
            pass
        _end()

    threading.Thread(target=run, name="krt-lifeline", daemon=True).start()


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
