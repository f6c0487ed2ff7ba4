"""The host at work: frames in, the user's handler, frames out.

Deliveries are handled in the order in which they come. With a concurrency of 1 the handler is
awaited in the host's own task, which costs least; else each has a task of its own, started at once
where Python can.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable

from . import _frames
from ._delivery import Delivery, current
from ._exit import leave_for_breach
from ._forms import form_of
from ._frames import Breach
from ._link import fit
from ._user_code import describe, trace
from ._wait import DirectWait, LoopWait
from .errors import AnswerTooLargeError

if TYPE_CHECKING:
    from ._context import Context
    from ._frames import Body, Hello
    from ._user_code import Handler
    from ._wires import Wires

_READ = 64 * 1024
"""Bytes read at a time, but for the rest of a large frame."""
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Host:
    """Handles what the engine delivers."""

    def __init__(self, wires: Wires, hello: Hello, loop: asyncio.AbstractEventLoop) -> None:
        self.stopping = False
        """Whether nothing new comes: the engine said so, or is gone."""
        self.starting: asyncio.Task[Any] | None = None
        """The task that runs `init`, while it does."""
        sock, self._reader, self._link, self._streams, calls = wires
        self._concurrency = hello.concurrency
        self._longest_error = min(hello.max_frame, _frames.MAX_LOG) - _frames.RESULT_OVERHEAD
        self._read_data, self._pack = form_of(hello)
        self._inbox: deque[tuple[int, Body]] = deque()
        """The ids and bodies of deliveries that have not begun."""
        self._working: dict[int, Delivery] = {}
        self._control: dict[int, Callable[[int, bytes], None]] = {
            _frames.HELLO: self._on_second_hello,
            _frames.CANCEL: self._on_cancel,
            _frames.DONE: calls.on_done,
            _frames.DOCUMENT: calls.on_document,
            _frames.FAILED: calls.on_failed,
            _frames.STOP: self._on_stop,
        }
        descriptor = sock.fileno()
        self._wait: DirectWait | LoopWait = (
            DirectWait(loop, descriptor, self._receive, self._link)
            if DirectWait.fits(loop)
            else LoopWait(loop, descriptor, self._receive)
        )

    async def serve(self, context: Context, handler: Handler, stoppable: bool) -> None:
        """Handles deliveries until the engine says to stop.

        `stoppable` says whether a handler that was begun can be cancelled.
        """
        self._context = context
        self._handler = handler
        self._stoppable = stoppable
        if self._concurrency == 1:
            await self._serve_in_turn()
        else:
            await self._serve_at_once()

    async def _serve_in_turn(self) -> None:
        inbox, wait = self._inbox, self._wait
        task: Any = asyncio.current_task()
        while True:
            while not inbox:
                if self.stopping:
                    return
                await wait.wait()
            delivery, data = self._open(*inbox.popleft())
            delivery.task = task
            ended = await self._handle(delivery, data)
            if delivery.cancelled and sys.version_info >= (3, 11):
                task.uncancel()
            if wait.owes_turn(ended):
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
                await wait.wait()
                continue
            delivery, data = self._open(*inbox.popleft())
            task = asyncio.Task(self._handle_apart(delivery, data), loop=loop, **_EAGER)
            if not task.done():
                tasks.add(task)
                task.add_done_callback(end)
            if wait.owes_turn(time_ns()):
                await wait.turn()

    def _open(self, number: int, body: Body) -> tuple[Delivery, Any]:
        """Takes a DELIVER apart."""
        try:
            replied, metadata, payload = _frames.parse_deliver(body)
            data = self._read_data(payload)
        except Exception as error:
            leave_for_breach(f"DELIVER {number} does not parse: {error}")
        self._working[number] = delivery = Delivery(number, replied, metadata)
        return delivery, data

    async def _handle_apart(self, delivery: Delivery, data: Any) -> None:
        """Handles one delivery in a task of its own, which a CANCEL may find before it starts."""
        delivery.task = asyncio.current_task()
        if delivery.cancelled:
            del self._working[delivery.id]
            self._answer_cancelled(delivery.id)
        else:
            await self._handle(delivery, data)

    async def _handle(self, delivery: Delivery, data: Any) -> int:
        """Handles one delivery, writes its RESULT, and returns when the handler ended."""
        current.set(delivery)
        last = body = b""
        start = time_ns()
        try:
            answer = await self._handler(self._context, data)
            end = time_ns()
            if answer is None:
                status = _frames.NONE
            else:
                last, body = self._pack(answer)
                status = _frames.ANSWER
        except GeneratorExit:
            raise
        except BaseException as error:
            end = time_ns()
            status, last = self._fail(delivery, error)
        del self._working[delivery.id]
        if self._streams.begun:
            self._streams.finish(delivery)
        self._link.finish(
            delivery,
            _frames.result(delivery.id, status, delivery.early_exit, start, end, last, body),
            body,
        )
        return end

    def _fail(self, delivery: Delivery, error: BaseException) -> tuple[int, bytes]:
        """Logs an error, and returns how the RESULT tells of it."""
        if delivery.cancelled and isinstance(error, asyncio.CancelledError):
            return _frames.CANCELLED, b""
        self._link.log(_frames.FAULT, time_ns(), trace(error).encode(errors="backslashreplace"))
        if isinstance(error, AnswerTooLargeError):
            return _frames.TOO_LARGE, _frames.too_large(error.size)
        text = describe(error).encode(errors="backslashreplace")
        return _frames.ERROR, fit(text, self._longest_error)

    def _receive(self) -> None:
        """Reads what has come, without waiting, and acts on it."""
        try:
            frames = self._reader.read(_READ, socket.MSG_DONTWAIT)
            for kind, number, body in frames or ():
                if kind == _frames.DELIVER:
                    self._inbox.append((number, body))
                else:
                    self._control[kind](number, bytes(body))
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            frames = None
        except Breach as breach:
            leave_for_breach(str(breach))
        if frames is None:
            self._on_end()

    def _on_second_hello(self, number: int, body: bytes) -> None:
        raise Breach("a second HELLO came")

    def _on_cancel(self, number: int, body: bytes = b"") -> None:
        delivery = self._working.get(number)
        if delivery is None:
            self._drop(number)
        elif self._stoppable and not delivery.cancelled:
            delivery.cancelled = True
            if delivery.task is not None:
                delivery.task.cancel()

    def _drop(self, number: int) -> None:
        """Answers a delivery that has not begun, if there is one."""
        for index, (queued, _) in enumerate(self._inbox):
            if queued == number:
                del self._inbox[index]
                self._answer_cancelled(number)
                return

    def _answer_cancelled(self, number: int) -> None:
        now = time_ns()
        self._link.send(_frames.result(number, _frames.CANCELLED, False, now, now, b"", b""))

    def _on_stop(self, number: int, body: bytes) -> None:
        self._stop()

    def _on_end(self) -> None:
        """The engine is gone: nobody waits for anything."""
        self._link.gone = True
        self._wait.close()
        self._inbox.clear()
        for number in list(self._working):
            self._on_cancel(number)
        self._stop()

    def _stop(self) -> None:
        self.stopping = True
        if self.starting is not None:
            self.starting.cancel()
        self._wait.wake()
