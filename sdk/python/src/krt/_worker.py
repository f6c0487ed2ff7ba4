"""The running worker: reads frames, calls the user's handler, writes frames.

Handles deliveries in order. With a concurrency of 1 the worker's own task awaits the handler, which
costs least; otherwise each delivery has its own task, started at once where Python can.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import _protocol
from ._connection import fit
from ._delivery import Delivery, set_current
from ._event_loop import DirectWait, LoopWait
from ._payload import form_of
from ._process import leave_child, leave_for_violation
from ._protocol import DELIVER_SIZE, ProtocolError, read_deliver
from ._streams import Outflow
from ._user_code import describe, trace
from .errors import AnswerTooLargeError

if TYPE_CHECKING:
    from ._batches import Batch
    from ._connection import Wires
    from ._context import Context
    from ._process import Farewell
    from ._protocol import Body, Hello
    from ._user_code import Handler

_READ = 64 * 1024
"""Bytes per read, except for the rest of a large frame."""
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Ended(NamedTuple):
    """The end of one delivery: the status, the last parts of its RESULT, and flags of its batch."""

    status: int
    last: bytes = b""
    body: bytes = b""
    flags: int = 0


class Worker:
    """Handles what the engine delivers."""

    def __init__(
        self,
        wires: Wires,
        hello: Hello,
        loop: asyncio.AbstractEventLoop,
        farewell: Farewell,
    ) -> None:
        self.stopping = False
        """Whether no new deliveries arrive: the engine sent STOP, or is gone."""
        self.starting: asyncio.Task[Any] | None = None
        """The task of `init`, while it runs."""
        sock, self._reader, self._link, self._streams, calls = wires
        self._farewell = farewell
        self._concurrency = hello.concurrency
        self._window = hello.stream
        self._longest_error = min(hello.max_frame, _protocol.MAX_LOG) - _protocol.RESULT_OVERHEAD
        self._read_data, self._pack, self._explain = form_of(hello)
        self._inbox: deque[tuple[int, Any]] = deque()
        """The ids and bodies of deliveries that have not started."""
        self._queue: Callable[[tuple[int, Body]], None] = self._inbox.append
        """Takes an id and a body from the engine."""
        self._working: dict[int, Delivery] = {}
        self._control: dict[int, Callable[[int, bytes], None]] = {
            _protocol.HELLO: self._on_second_hello,
            _protocol.CANCEL: self._on_cancel,
            _protocol.DONE: calls.on_done,
            _protocol.DOCUMENT: calls.on_document,
            _protocol.FAILED: calls.on_failed,
            _protocol.STOP: self._on_stop,
            _protocol.CREDIT: self._on_credit,
        }
        descriptor = sock.fileno()
        self._wait: DirectWait | LoopWait = (
            DirectWait(loop, descriptor, self._receive, self._link)
            if DirectWait.fits(loop)
            else LoopWait(loop, descriptor, self._receive)
        )

    async def serve(self, context: Context, handler: Handler, stoppable: bool) -> None:
        """Handles deliveries until the engine sends STOP.

        `stoppable` says whether a running handler can be cancelled.
        """
        self._context = context
        self._handler = handler
        self._stoppable = stoppable
        if self._concurrency == 1:
            await self._serve_in_turn()
        else:
            await self._serve_at_once()

    async def _serve_in_turn(self) -> None:  # noqa: PLR0912, PLR0915  # on purpose
        """Handles one delivery at a time.

        Most of what a small message costs is calls of functions, whose code leaves the processor's
        caches while other processes run. So this does what `_open`, `_handle` and `_answer` do, and
        leaves to methods what is rare.
        """
        inbox, wait, link, streams = self._inbox, self._wait, self._link, self._streams
        working, read, pack = self._working, self._read_data, self._pack
        handler, context, task = self._handler, self._context, asyncio.current_task()
        number: int
        body: Any
        while True:
            while not inbox:
                if self.stopping:
                    return
                if not wait.poll():
                    await wait.wait()
            number, body = inbox.popleft()
            try:
                flags, _, request_size, metadata_size = read_deliver(body)
                middle = DELIVER_SIZE + request_size
                first = middle + metadata_size
                if flags or first > len(body) or body.__class__ is not bytes:
                    delivery, data = self._open(number, body)
                else:
                    data = read(body[first:])
                    delivery = Delivery(number, body[DELIVER_SIZE:middle], body[middle:first])
                    working[number] = delivery
            except Exception as error:
                leave_for_violation(f"DELIVER {number} does not parse: {error}")
            delivery.task = task
            set_current(delivery)
            start = time_ns()
            try:
                answer = await handler(context, data)
                end = time_ns()
                if link.forked:
                    leave_child(None)
                if answer is None:
                    status, last, body = _protocol.NONE, b"", b""
                else:
                    status, (last, body) = _protocol.ANSWER, pack(answer)
            except GeneratorExit:
                raise
            except BaseException as error:
                end = time_ns()
                if link.forked:
                    leave_child(error)
                (status, last), body = self._fail(delivery, error), b""
            del working[number]
            streams.finish(delivery)
            link.finish(delivery, status, delivery.early_exit, start, end, last, body)
            # A message may be large, and the next one may not come soon.
            data = answer = body = None
            if delivery.cancelled and sys.version_info >= (3, 11):
                task.uncancel()
            if wait.owes_turn(end):
                await wait.turn()

    async def _serve_at_once(self) -> None:
        inbox, wait = self._inbox, self._wait
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        def end(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            wait.wake()

        while inbox or tasks or not self.stopping:
            if not inbox or len(tasks) >= self._concurrency:
                if not wait.poll():
                    await wait.wait()
                continue
            delivery, data = self._open(*inbox.popleft())
            task = asyncio.Task(self._handle_apart(delivery, data), loop=loop, **_EAGER)
            if not task.done():
                tasks.add(task)
                task.add_done_callback(end)
            if wait.owes_turn(time_ns()):
                await wait.turn()

    def _open(self, number: int, body: Any) -> tuple[Any, Any]:
        """Parses a DELIVER."""
        try:
            flags, request, metadata, payload = _protocol.parse_deliver(body)
            data = self._read_data(payload)
        except Exception as error:
            leave_for_violation(f"DELIVER {number} does not parse: {error}")
        self._working[number] = delivery = Delivery(number, request, metadata)
        delivery.replied = flags & _protocol.REPLIED != 0
        if flags & _protocol.STREAM and self._window is not None:
            delivery.outflow = Outflow(self._window)
        return delivery, data

    async def _handle_apart(self, delivery: Any, data: Any) -> None:
        """Handles a delivery in its own task, which a CANCEL may stop before it starts."""
        delivery.task = asyncio.current_task()
        if delivery.cancelled:
            self._skip(delivery)
        else:
            await self._handle(delivery, data)

    async def _handle(self, delivery: Any, data: Any) -> int:
        """Handles a delivery, writes its RESULT, and returns the end time of the handler."""
        self._enter(delivery)
        start = time_ns()
        try:
            answer = await self._handler(self._context, data)
            end = time_ns()
            if self._link.forked:
                leave_child(None)
            ended = self._end(delivery, answer)
        except GeneratorExit:
            raise
        except BaseException as error:
            end = time_ns()
            if self._link.forked:
                leave_child(error)
            ended = self._end_failed(delivery, error)
        self._answer(delivery, ended, start, end)
        return end

    def _enter(self, delivery: Any) -> None:
        """Makes a delivery the current one of its task."""
        set_current(delivery)

    def _end(self, delivery: Any, answer: Any) -> Any:
        """Returns the end of a delivery with the handler's answer."""
        if answer is None:
            return Ended(_protocol.NONE)
        return Ended(_protocol.ANSWER, *self._pack(answer))

    def _end_failed(self, delivery: Any, error: BaseException) -> Any:
        """Returns the end of a delivery with the handler's error."""
        return Ended(*self._fail(delivery, error))

    def _answer(self, delivery: Any, ended: Any, start: int, end: int) -> None:
        """Writes the RESULT of a delivery."""
        del self._working[delivery.id]
        self._streams.finish(delivery)
        status, last, body, flags = ended
        self._link.finish(delivery, status, flags | delivery.early_exit, start, end, last, body)

    def _skip(self, delivery: Any) -> None:
        """Answers a delivery that was cancelled before it started."""
        del self._working[delivery.id]
        self._answer_cancelled(delivery.id)

    def _fail(self, delivery: Delivery | Batch, error: BaseException) -> tuple[int, bytes]:
        """Logs an error, and returns the status and the body of its RESULT."""
        if delivery.cancelled and isinstance(error, asyncio.CancelledError):
            return _protocol.CANCELLED, b""
        hint = self._explain(error)
        told = f"{trace(error)}\n{hint}".rstrip("\n")
        self._link.log(_protocol.FAULT, time_ns(), told.encode(errors="backslashreplace"))
        if isinstance(error, AnswerTooLargeError):
            return _protocol.TOO_LARGE, _protocol.too_large(error.size)
        text = describe(error) + (f"; {hint}" if hint else "")
        return _protocol.ERROR, fit(text.encode(errors="backslashreplace"), self._longest_error)

    def _receive(self) -> None:
        """Reads the available frames without waiting, and acts on them."""
        try:
            frames = self._reader.read(_READ, socket.MSG_DONTWAIT)
            for kind, number, body in frames or ():
                if kind == _protocol.DELIVER:
                    self._queue((number, body))
                else:
                    self._control[kind](number, bytes(body))
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            frames = None
        except ProtocolError as violation:
            leave_for_violation(str(violation))
        if frames is None:
            self._on_end()

    def _on_second_hello(self, number: int, body: bytes) -> None:
        raise ProtocolError("a second HELLO came")

    def _on_cancel(self, number: int, body: bytes = b"") -> None:
        delivery = self._working.get(number)
        if delivery is None:
            self._drop(number)
        elif self._stoppable and not delivery.cancelled:
            delivery.cancelled = True
            if delivery.task is not None:
                delivery.task.cancel()
        elif delivery.outflow is not None:
            # A plain function cannot be interrupted, but what it sends can be refused.
            delivery.cancelled = True
            delivery.outflow.cancel()

    def _on_credit(self, number: int, body: bytes) -> None:
        messages, size = _protocol.parse_credit(body)
        delivery = self._working.get(number)
        # The RESULT of a delivery and its credit may have crossed.
        if delivery is not None and delivery.outflow is not None:
            delivery.outflow.add(messages, size)

    def _drop(self, number: int) -> None:
        """Answers a delivery that has not started, if there is one."""
        for index, (queued, _) in enumerate(self._inbox):
            if queued == number:
                del self._inbox[index]
                self._answer_cancelled(number)
                return

    def _answer_cancelled(self, number: int) -> None:
        now = time_ns()
        self._link.send(_protocol.result(number, _protocol.CANCELLED, False, now, now, b"", b""))

    def _on_stop(self, number: int, body: bytes) -> None:
        self.stop()

    def _on_end(self) -> None:
        """The engine is gone: cancels all work."""
        self._link.gone = True
        self._wait.close()
        self._inbox.clear()
        for number in list(self._working):
            self._on_cancel(number)
        self._farewell.begin()
        self.stop()

    def close(self) -> None:
        """Reads no more frames."""
        self._wait.close()

    def stop(self) -> None:
        """Starts no new delivery."""
        self.stopping = True
        if self.starting is not None:
            self.starting.cancel()
        self._wait.wake()
