"""The connection to the engine: frames out, calls that have a reply, and what a context does.

A write blocks while the engine is slow. Once the engine is gone, and in a forked child, the link
writes no frames and sends logs to standard error so that they are not lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket

# Real threads, even if user code replaces them with greenlets (gevent) later.
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _protocol
from ._delivery import current, current_id
from ._output import Streams
from ._payload import form_of
from ._protocol import Reader

if TYPE_CHECKING:
    from ._context import Measurement
    from ._delivery import Delivery
    from ._protocol import Hello

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
        self._longest_log = min(max_frame, _protocol.MAX_LOG) - _protocol.LOG_OVERHEAD
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

    def finish(
        self,
        delivery: Delivery,
        status: int,
        flags: int,
        start: int,
        end: int,
        last: bytes,
        body: bytes,
    ) -> None:
        """Writes the RESULT of a delivery; later early replies are refused."""
        data = _protocol.result(delivery.id, status, flags, start, end, last, body)
        if len(body) < _LARGE:
            data, body = data + body, b""
        with self._lock:
            delivery.open = False
            self._write(data, body)

    def send_for(self, delivery: Delivery, data: bytes) -> bool:
        """Writes a frame of a delivery, unless its RESULT is written."""
        with self._lock:
            if delivery.open:
                self._write(data)
            return delivery.open

    def finish_all(self, deliveries: list[Delivery], data: bytes) -> None:
        """Writes the RESULTs of deliveries; later early replies are refused."""
        with self._lock:
            for delivery in deliveries:
                delivery.open = False
            self._write(data)

    def log(self, level: int, time: int, text: bytes) -> None:
        """Writes a LOG of the running code at once, so that it survives a crash."""
        if self.gone:
            os.write(_STDERR, text + b"\n")
            return
        if len(text) > self._longest_log:
            text = fit(text, self._longest_log)
        with self._lock:
            self._write(_protocol.log(current_id(), level, time, text))

    def hold(self, kind: int, body: bytes) -> None:
        """Delays a frame of the running code until the next write.

        The frame goes out before the handler's result, or when the event loop runs, whichever is
        first.
        """
        with self._lock:
            data = _protocol.frame(kind, current_id(), body)
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

    def renew(self, sock: socket.socket) -> None:
        """Writes to another socket: that of a worker which was forked."""
        self._socket, self._fd = sock, sock.fileno()
        self.gone = self.forked = False

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


class CallFailed(Exception):
    """The engine answered a call with FAILED; the text gives the reason."""


class _Call:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[bytes]] = self.loop.create_future()
        self.documents: list[bytes] = []

    def end(self, reason: str | None) -> None:
        if self.future.done():
            return
        if reason is None:
            self.future.set_result(self.documents)
        else:
            self.future.set_exception(CallFailed(reason))


class Calls:
    """The calls that wait for a reply. Any thread with an event loop may call."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._made = itertools.count()
        self._waiting: dict[int, _Call] = {}

    async def call(self, kind: int, fields: bytes) -> list[bytes]:
        """Makes a call; its JSON holds the delivery and then `fields`."""
        number, call = next(self._made) % _protocol.MAX_ID + 1, _Call()
        self._waiting[number] = call
        body = b'{"delivery":%d,%b}' % (current_id(), fields)
        self._link.send(_protocol.frame(kind, number, body))
        return await call.future

    def is_waiting(self) -> bool:
        """Whether a call has no reply yet."""
        return bool(self._waiting)

    def on_document(self, number: int, body: bytes) -> None:
        """Keeps one document of a FIND."""
        call = self._find(number)
        if not call.future.done():
            call.documents.append(body)

    def on_done(self, number: int, body: bytes) -> None:
        """Completes a call."""
        self._end(number, None)

    def on_failed(self, number: int, body: bytes) -> None:
        """Fails a call."""
        self._end(number, body.decode(errors="replace"))

    def _end(self, number: int, reason: str | None) -> None:
        call = self._find(number)
        del self._waiting[number]
        if call.loop is asyncio.get_running_loop():
            call.end(reason)
            return
        try:
            call.loop.call_soon_threadsafe(call.end, reason)
        except RuntimeError:
            # The event loop of the calling thread is closed, so no task waits for the reply.
            return

    def _find(self, number: int) -> _Call:
        call = self._waiting.get(number)
        if call is None:
            raise _protocol.ProtocolError(f"no call {number} waits for an answer")
        return call


class Wires(NamedTuple):
    """The socket, its reader and its writer."""

    socket: socket.socket
    reader: Reader
    link: Link
    streams: Streams
    calls: Calls


class Engine:
    """Turns calls on the context into frames."""

    def __init__(self, hello: Hello, link: Link, calls: Calls) -> None:
        self._link = link
        self._calls = calls
        self._pack = form_of(hello).pack
        self._most = hello.max_frame
        self._most_other = min(hello.max_frame, _protocol.MAX_OTHER)

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document."""
        fields = _fields(collection, b"document", document)
        _check(fields, self._most)
        await self._calls.call(_protocol.SAVE, fields)

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents."""
        fields = _fields(collection, b"query", query)
        _check(fields, self._most_other)
        return await self._calls.call(_protocol.FIND, fields)

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement in the background."""
        body = _protocol.json_body(measurement)
        _check(body, self._most_other)
        self._link.hold(_protocol.MEASUREMENT, body)

    def reply(self, response: Any) -> None:
        """Answers the client now."""
        delivery = current.get()
        assert delivery is not None, "the context has looked"
        begin, body = self._pack(response)
        self._link.send(_protocol.frame(_protocol.EARLY_REPLY, delivery.id, begin + body))

    async def send(self, message: Any) -> bool:
        """Sends a message of the answer, once the client has room for it."""
        delivery = current.get()
        assert delivery is not None, "the context has looked"
        assert delivery.outflow is not None, "the context has looked"
        begin, body = self._pack(message)
        if delivery.replied:
            # The client has its answer; what the workflow still makes is dropped.
            return True
        await delivery.outflow.take(len(begin) + len(body))
        data = _protocol.frame(_protocol.MESSAGE, delivery.id, begin + body)
        return self._link.send_for(delivery, data)


def _fields(collection: str, name: bytes, document: bytes) -> bytes:
    return b'"collection":%b,"%b":%b' % (json.dumps(collection).encode(), name, document)


def _check(body: bytes, most: int) -> None:
    room = most - _protocol.CALL_OVERHEAD
    if len(body) > room:
        raise CallFailed(f"it has {len(body)} bytes, more than the limit of {room} bytes")
