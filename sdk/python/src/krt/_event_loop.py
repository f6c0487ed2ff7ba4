"""The event loop of a worker: its choice, and waiting for frames without blocking it.

The loop is the one that user code requests or sets with its policy. None exists before user code is
imported, so its changes to asyncio take effect: another policy (uvloop), another loop, or selectors
that run gevent's greenlets.

`DirectWait` polls the socket and the event loop's selector together and reads without a turn of the
loop, which costs more than a small handler. It uses private attributes of asyncio's own loop.
`LoopWait` uses none, and serves where they are missing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import select
import selectors
import signal
import sys
import types
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._connection import Link

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

    def poll(self) -> bool:
        """Waits for frames and reads them. Returns false if the loop has something to run first.

        Then `wait` lets it.
        """
        if len(self._ready) > self._link.armed or hasattr(self._loop, _NESTED):
            return False
        self._link.flush()
        for descriptor, _ in self._poll(self._patience() if self._timers else None):
            if descriptor == self._descriptor:
                self._receive()
                return True
        return False

    async def wait(self) -> None:
        """Returns once frames may have arrived, or the loop has run."""
        if self._nested is not None or hasattr(self._loop, _NESTED):
            await self._wait_nested()
        else:
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

    def _patience(self) -> int:
        """Returns the milliseconds until the loop's next timer."""
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

    def poll(self) -> bool:
        """Returns false: only the loop can wait."""
        return False

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


_Selector = selectors.DefaultSelector
"""The system's selector, even if user code replaces it later."""


def prepare() -> None:
    """Lets user code request the loop during its import, before the loop runs.

    Up to Python 3.13 the policy makes one on request.
    """
    if sys.version_info >= (3, 14):
        asyncio.set_event_loop(asyncio.new_event_loop())


def choose(moves: bool) -> asyncio.AbstractEventLoop:
    """Returns the loop and sets it for the main thread.

    A loop that `moves` to another thread must not use gevent's selectors, which belong to their
    thread.
    """
    with _quietly():
        if moves and selectors.DefaultSelector is not _Selector:
            loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop(_Selector())
        else:
            loop = _current() or asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop


def renew() -> None:
    """Gives the main thread a new loop for user code after its first one moved."""
    with _quietly():
        asyncio.set_event_loop(asyncio.new_event_loop())


def of_this_thread() -> asyncio.AbstractEventLoop | None:
    """Returns the loop that is set for this thread."""
    with _quietly():
        return _current()


def obstacle(loop: asyncio.AbstractEventLoop) -> str | None:
    """Returns why a forked process could not go on with a loop that does not run."""
    private: Any = loop
    if not isinstance(loop, asyncio.SelectorEventLoop) or not hasattr(loop, "_make_self_pipe"):
        return (
            f"its event loop, a `{type(loop).__module__}.{type(loop).__name__}`, cannot be forked"
        )
    if len(private._selector.get_map()) > 1:
        return (
            "a connection or a process is open in its event loop, and two workers cannot share it"
        )
    return None


def separate(loop: asyncio.AbstractEventLoop) -> None:
    """Separates a loop from the one of the process that this one was forked from.

    Both share the kernel's list of what the loop waits for, and the sockets that wake it.
    """
    private: Any = loop
    private._selector.close()
    private._selector = type(private._selector)()
    for end in (private._ssock, private._csock):
        end.close()
    private._internal_fds -= 1
    private._make_self_pipe()
    if private._signal_handlers:
        signal.set_wakeup_fd(private._csock.fileno())


def set_for_this_thread(loop: asyncio.AbstractEventLoop) -> None:
    """Sets the loop of this thread."""
    with _quietly():
        asyncio.set_event_loop(loop)


def _current() -> asyncio.AbstractEventLoop | None:
    """Returns the current policy's loop, unless user code closed it (with `asyncio.run`)."""
    try:
        loop = asyncio.get_event_loop()
    except RuntimeError:
        return None
    return None if loop.is_closed() else loop


@contextmanager
def _quietly() -> Iterator[None]:
    """Hides messages that do not help users: the selected selector, and deprecated calls."""
    logger = logging.getLogger("asyncio")
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
