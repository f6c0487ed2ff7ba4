"""Ends a process that does not exit on its own, for example because of threads of user code."""

from __future__ import annotations

import atexit
import faulthandler
import os
import threading

# Real threads, even if user code replaces them with greenlets later.
from _thread import start_new_thread
from time import sleep, time_ns
from typing import TYPE_CHECKING

from . import _exit, _frames

if TYPE_CHECKING:
    from ._link import Link

_PATIENCE = 3
"""Seconds for all threads, `atexit` functions and destructors together."""
_LAST = 2
"""Further seconds before the process is killed from outside Python: native code may hold the
interpreter."""
_STDERR = 2
_HINT = "hint: make the thread a daemon, or let it end by a function of `atexit`"


class Farewell:
    """Limits the duration of the exit, measured from its start."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._begun = False
        self._threads_ended = False

    def begin(self) -> None:
        """Starts the deadline; later calls have no effect."""
        if self._begun:
            return
        self._begun = True
        faulthandler.dump_traceback_later(_PATIENCE + _LAST, exit=True, file=_STDERR)
        # `atexit` runs the last registered function first, after it has joined the threads.
        atexit.register(self._note_end_of_threads)
        start_new_thread(self._watch, (os.getpid(),))

    def _note_end_of_threads(self) -> None:
        self._threads_ended = True

    def _watch(self, process: int) -> None:
        sleep(_PATIENCE)
        if os.getpid() != process:
            return
        text = f"the process did not end within {_PATIENCE} s after it was stopped: {self._why()}"
        self._link.log(_frames.WARN, time_ns(), text.encode(errors="backslashreplace"))
        if not self._threads_ended:
            atexit._run_exitfuncs()
        _exit.leave(0)

    def _why(self) -> str:
        if self._threads_ended:
            return "a function that was registered with `atexit` still runs"
        left = [f"`{thread.name}`" for thread in threading.enumerate() if _is_waited_for(thread)]
        return f"it waits for {', '.join(left)}; {_HINT}" if left else "user code still runs"


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread()
