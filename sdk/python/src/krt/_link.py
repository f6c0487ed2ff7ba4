"""The connection to the engine: writes whole frames, in order, from any thread.

A write blocks while the engine is slow. Once the engine is gone, and in a forked child, the link
writes no frames and sends logs to standard error so that they are not lost.
"""

from __future__ import annotations

import os

# Real threads, even if user code replaces them with greenlets (gevent) later.
from threading import RLock, get_ident
from typing import TYPE_CHECKING

from . import _frames
from ._delivery import current_id

if TYPE_CHECKING:
    import asyncio
    import socket

    from ._delivery import Delivery

_CUT = " … (cut: there were {} bytes)"
_STDERR = 2
_LARGE = 64 * 1024
"""A shorter end of a RESULT is copied, since one write costs less than two."""


class Link:
    """The writing side of the socket."""

    def __init__(self, sock: socket.socket, max_frame: int) -> None:
        self.armed = 0
        """The number of this link's callbacks in the event loop: 0 or 1."""
        self.gone = False
        """Whether the engine no longer reads."""
        self.forked = False
        """Whether this process is a forked child of the worker."""
        self._longest_log = min(max_frame, _frames.MAX_LOG) - _frames.LOG_OVERHEAD
        self._socket = sock
        self._fd = sock.fileno()
        # A finalizer or a signal handler may log while this thread writes.
        self._lock = RLock()
        self._writing = False
        self._held: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        os.register_at_fork(after_in_child=self._forsake)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sets the event loop of this thread, which enables delayed frames."""
        self._loop = loop
        self._loop_thread = get_ident()

    def send(self, data: bytes) -> None:
        """Writes frames."""
        with self._lock:
            self._write(data)

    def finish(self, delivery: Delivery, data: bytes, end: bytes) -> None:
        """Writes the RESULT of a delivery in two parts; later early replies are refused."""
        with self._lock:
            delivery.open = False
            if len(end) < _LARGE:
                self._write(data + end)
            else:
                self._write(data, end)

    def log(self, level: int, time: int, text: bytes) -> None:
        """Writes a LOG of the running code at once, so that it survives a crash."""
        if self.gone:
            os.write(_STDERR, text + b"\n")
            return
        if len(text) > self._longest_log:
            text = fit(text, self._longest_log)
        with self._lock:
            self._write(_frames.log(current_id(), level, time, text))

    def hold(self, kind: int, body: bytes) -> None:
        """Delays a frame of the running code until the next write.

        The frame goes out before the handler's result, or when the event loop runs, whichever is
        first.
        """
        with self._lock:
            data = _frames.frame(kind, current_id(), body)
            if self._loop is None or get_ident() != self._loop_thread:
                self._write(data)
                return
            self._held.append(data)
        if not self.armed:
            self.armed = 1
            self._loop.call_soon(self._on_turn)

    def flush(self) -> None:
        """Writes the delayed frames."""
        if self._held:
            self.send(b"")

    def _on_turn(self) -> None:
        self.armed = 0
        self.flush()

    def _write(self, data: bytes, end: bytes = b"") -> None:
        if self._writing:
            self._held.append(data + end)
            return
        self._writing = True
        if self._held:
            data = b"".join((*self._held, data))
            self._held.clear()
        try:
            if not self.gone:
                sent = os.write(self._fd, data)
                if sent < len(data):
                    self._socket.sendall(memoryview(data)[sent:])
                if end:
                    self._socket.sendall(end)
        except ConnectionError:
            self.gone = True
        finally:
            self._writing = False

    def _forsake(self) -> None:
        self.gone = self.forked = True
        self._lock = RLock()
        self._writing = False
        self._held.clear()
        self._socket.close()


def fit(text: bytes, room: int) -> bytes:
    """Cuts a text that is too long, and marks the cut."""
    if len(text) <= room:
        return text
    note = _CUT.format(len(text)).encode()
    return text[: max(room - len(note), 0)].decode(errors="ignore").encode() + note
