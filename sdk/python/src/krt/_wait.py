"""How the host waits for frames without keeping the event loop from its own work.

`DirectWait` polls the socket and the event loop's selector together and reads without a turn of
the loop, which costs more than a small handler. It looks at attributes of asyncio's own loop that
are private, so `LoopWait`, which does not, serves wherever they are not found as expected.
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

_TURN_EVERY = 5_000_000
"""Nanoseconds after which the loop gets a turn though nothing is known to be ready in it: under a
stream of deliveries, how late a timer or a socket of a background task may be."""


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Lets the event loop run once."""
    yield


class DirectWait:
    """Waits in `poll`, on the socket and the loop's selector."""

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
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLIN)
        self._poller.register(private._selector.fileno(), select.POLLIN)
        self._poll = self._poller.poll
        loop.add_reader(descriptor, receive)

    @staticmethod
    def fits(loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop has what this class looks at.

        A loop in debug mode measures how long a task keeps it, so it does not.
        """
        selector = getattr(loop, "_selector", None)
        return (
            hasattr(select, "poll")
            and callable(getattr(selector, "fileno", None))
            and isinstance(getattr(loop, "_ready", None), deque)
            and isinstance(getattr(loop, "_scheduled", None), list)
            and not loop.get_debug()
        )

    def owes_turn(self, now: int) -> bool:
        """Whether the loop should run before the next handler does."""
        return len(self._ready) > self._link.armed or now - self._turned > _TURN_EVERY

    async def turn(self) -> None:
        """Lets the loop run once."""
        await turn()
        self._turned = time_ns()

    async def wait(self) -> None:
        """Returns once frames may have come, or the loop has run."""
        if len(self._ready) > self._link.armed:
            await self.turn()
            return
        self._link.flush()
        for descriptor, _ in self._poll(self._patience()):
            if descriptor == self._descriptor:
                self._receive()
                return
        await self.turn()

    def wake(self) -> None:
        """Ends a wait; needless here, since this one ends with every turn of the loop."""

    def close(self) -> None:
        """Reads no more: the socket has ended."""
        self._loop.remove_reader(self._descriptor)
        self._poller.unregister(self._descriptor)

    def _patience(self) -> int | None:
        """Milliseconds until the loop's next timer."""
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
        """Whether the loop should run before the next handler does: it cannot be known, so yes."""
        return True

    async def turn(self) -> None:
        """Lets the loop run once."""
        await turn()

    async def wait(self) -> None:
        """Returns once frames may have come, or something else happened."""
        self._future = self._loop.create_future()
        await self._future

    def wake(self) -> None:
        """Ends a wait."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Reads no more: the socket has ended."""
        self._loop.remove_reader(self._descriptor)

    def _on_readable(self) -> None:
        self._receive()
        self.wake()
