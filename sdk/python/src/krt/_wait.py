"""Waits for frames without blocking the event loop.

`DirectWait` polls the socket and the event loop's selector together and reads without a turn of the
loop, which costs more than a small handler. It uses private attributes of asyncio's own loop.
`LoopWait` uses none, and serves where they are missing.
"""

from __future__ import annotations

import asyncio
import math
import select
import types
from collections import deque
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._link import Link

# gevent removes `poll` or replaces it with one that waits for other events.
_poll = getattr(select, "poll", None)

_TURN_EVERY = 5_000_000
"""Nanoseconds between forced turns of the loop: the maximum delay of a background task's timer or
socket under a stream of deliveries."""


_NESTED = "_nest_patched"
"""The attribute that nest_asyncio sets on a loop."""


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Lets the event loop run once."""
    yield


class DirectWait:
    """Waits in `poll`, on the socket and the loop's selector.

    If user code runs the loop inside one of its tasks (nest_asyncio), it waits like `LoopWait`:
    `poll` would hide the end of that task from the inner run.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: int,
        receive: Callable[[], None],
        link: Link,
    ) -> None:
        private: Any = loop
        self._ready: deque[Any] = private._ready
        self._timers: list[Any] = private._scheduled
        self._now = loop.time
        self._loop = loop
        self._descriptor = descriptor
        self._receive = receive
        self._link = link
        self._turned = time_ns()
        assert _poll is not None, "it fits"
        self._poller = _poll()
        self._poller.register(descriptor, select.POLLIN)
        self._poller.register(private._selector.fileno(), select.POLLIN)
        self._poll = self._poller.poll
        self._nested: LoopWait | None = None
        loop.add_reader(descriptor, receive)

    @staticmethod
    def fits(loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop has the private attributes that this class uses.

        False for a loop in debug mode, which measures the duration of each task.
        """
        selector = getattr(loop, "_selector", None)
        return (
            _poll is not None
            and callable(getattr(selector, "fileno", None))
            and isinstance(getattr(loop, "_ready", None), deque)
            and isinstance(getattr(loop, "_scheduled", None), list)
            and not loop.get_debug()
        )

    def owes_turn(self, now: int) -> bool:
        """Whether the loop should run before the next handler."""
        return len(self._ready) > self._link.armed or now - self._turned > _TURN_EVERY

    async def turn(self) -> None:
        """Lets the loop run once."""
        await turn()
        self._turned = time_ns()

    async def wait(self) -> None:
        """Returns once frames may have arrived, or the loop has run."""
        if self._nested is not None or hasattr(self._loop, _NESTED):
            await self._wait_nested()
            return
        if len(self._ready) > self._link.armed:
            await self.turn()
            return
        self._link.flush()
        for descriptor, _ in self._poll(self._patience()):
            if descriptor == self._descriptor:
                self._receive()
                return
        await self.turn()

    async def _wait_nested(self) -> None:
        self._link.flush()
        if self._nested is None:
            self._nested = LoopWait(self._loop, self._descriptor, self._receive)
        await self._nested.wait()

    def wake(self) -> None:
        """Ends a wait; rarely necessary, since every turn of the loop ends one."""
        if self._nested is not None:
            self._nested.wake()

    def close(self) -> None:
        """Stops reading: the socket has ended."""
        self._loop.remove_reader(self._descriptor)
        self._poller.unregister(self._descriptor)

    def _patience(self) -> int | None:
        """Returns the milliseconds until the loop's next timer."""
        if not self._timers:
            return None
        left: float = self._timers[0].when() - self._now()
        return max(math.ceil(left * 1000), 0)


class LoopWait:
    """Waits for a future that the loop's own reader resolves."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: int,
        receive: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._receive = receive
        self._future: asyncio.Future[None] | None = None
        loop.add_reader(descriptor, self._on_readable)

    def owes_turn(self, now: int) -> bool:
        """Whether the loop should run before the next handler: always true, since it is unknown."""
        return True

    async def turn(self) -> None:
        """Lets the loop run once."""
        await turn()

    async def wait(self) -> None:
        """Returns once frames may have arrived, or on any other event."""
        self._future = self._loop.create_future()
        await self._future

    def wake(self) -> None:
        """Ends a wait."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Stops reading: the socket has ended."""
        self._loop.remove_reader(self._descriptor)

    def _on_readable(self) -> None:
        self._receive()
        self.wake()
