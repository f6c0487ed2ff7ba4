"""A worker as a process: its signals, its children, and its end.

Ctrl-C does not end a worker. The end of the engine does, even in the middle of a handler. A process
that does not exit on its own, for example because of threads of user code, is ended.
"""

from __future__ import annotations

import atexit
import faulthandler
import fcntl
import os
import select
import signal
import sys
import threading
import traceback

# Real threads, even if user code replaces them with greenlets later.
from _thread import LockType, allocate_lock, start_new_thread
from time import sleep, time_ns
from typing import TYPE_CHECKING, NoReturn

from . import _protocol
from ._output import flush

if TYPE_CHECKING:
    from types import FrameType

    from ._connection import Link

_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
"""`subprocess` restores the defaults of these in a child."""


def install_signals() -> None:
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
    ignore_sigint()
    os.register_at_fork(after_in_child=_restore_sigint)


def ignore_sigint() -> None:
    """Makes SIGINT do nothing in this process."""
    signal.signal(signal.SIGINT, _do_nothing)
    # Native system calls resume after the signal.
    signal.siginterrupt(signal.SIGINT, False)


def ignores_sigint() -> bool:
    """Whether SIGINT does nothing: user code has not installed another handler."""
    return signal.getsignal(signal.SIGINT) is _do_nothing


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


def _restore_sigint() -> None:
    """Gives a forked child Python's own handler, unless user code installed another."""
    if ignores_sigint():
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Lifeline:
    """The read end of a pipe of the engine's, whose end means that the engine is gone."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._own: int | None = None
        """Another description of it, whose signal goes to this process group."""

    def hold(self) -> None:
        """Watches it until the process ends. A forked worker, with its own group, does so, too."""
        if sys.platform == "linux" and self._ask_kernel():
            if _hung_up(self._descriptor):
                _end_group()
            return
        _watch_lifeline(self._descriptor)

    def _ask_kernel(self) -> bool:
        """Makes the kernel kill the group: needs no thread, works while user code holds the GIL."""
        if self._own is not None:
            os.close(self._own)
        path, flags = f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_NONBLOCK
        try:
            self._own = own = os.open(path, flags | os.O_CLOEXEC)
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


def _watch_lifeline(descriptor: int) -> None:
    import threading

    def run() -> None:
        while os.read(descriptor, 1):
            pass
        _end_group()

    threading.Thread(target=run, name="krt-lifeline", daemon=True).start()


def _end_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_children")
_SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def bequeath(folder: str, made: str | None) -> None:
    """Gives child processes the node's folder, the SDK, and its `*_pb2` modules.

    Environment variables carry it, because they reach every process: children of `multiprocessing`,
    of loky and of `subprocess`. `_children/sitecustomize.py` reads them there. `folder` is the
    node's, `made` the folder of krt's `*_pb2` modules.
    """
    path = [_SDK, *([made] if made else []), folder]
    os.environ["KRT_CHILD_PYTHON"] = f"{sys.hexversion >> 16:x}:{sys.prefix}"
    os.environ["KRT_CHILD_PATH"] = os.pathsep.join(path)
    if made:
        os.environ["KRT_CHILD_MODULES"] = made
    own = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, own] if own else [_CHILDREN])


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


_PATIENCE = 3
"""Seconds for all threads, `atexit` functions and destructors together."""
_LAST = 2
"""Further seconds before the process is killed from outside Python: native code may hold the
interpreter."""
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
        # Python 3.7 runs a thread whose first step comes after the interpreter has been taken down.
        started = allocate_lock()
        started.acquire()
        start_new_thread(self._watch, (os.getpid(), started))
        started.acquire()

    def _note_end_of_threads(self) -> None:
        self._threads_ended = True

    def _watch(self, process: int, started: LockType) -> None:
        started.release()
        sleep(_PATIENCE)
        if os.getpid() != process:
            return
        text = f"the process did not end within {_PATIENCE} s after it was stopped: {self._why()}"
        self._link.log(_protocol.WARN, time_ns(), text.encode(errors="backslashreplace"))
        if not self._threads_ended:
            atexit._run_exitfuncs()
        leave(0)

    def _why(self) -> str:
        if self._threads_ended:
            return "a function that was registered with `atexit` still runs"
        left = [f"`{thread.name}`" for thread in threading.enumerate() if _is_waited_for(thread)]
        return f"it waits for {', '.join(left)}; {_HINT}" if left else "user code still runs"


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread()
