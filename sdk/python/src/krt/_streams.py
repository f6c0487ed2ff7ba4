"""Streams: answers of several messages, sent as fast as the client takes them."""

from __future__ import annotations

import asyncio
import functools
import inspect
from threading import Lock
from typing import TYPE_CHECKING, Any, Callable, List, Tuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ._context import Context
    from ._user_code import Handler

Window = Tuple[int, int]
"""How many messages and bytes of an answer may wait for the client."""
_Waiting = List[Tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]]


class Outflow:
    """Holds a handler back while too much of its answer waits for the client.

    Handlers may wait in any event loop. The engine's credit arrives on the worker's thread.
    """

    def __init__(self, window: Window) -> None:
        self._messages, self._bytes = window
        self._cancelled = False
        self._lock = Lock()
        self._waiting: _Waiting = []

    async def take(self, size: int) -> None:
        """Waits until a message may be sent, and counts it.

        Raises `CancelledError` once the request is cancelled.
        """
        while True:
            future = self._try_take(size)
            if future is None:
                return
            await future

    def _try_take(self, size: int) -> asyncio.Future[None] | None:
        """Counts a message, or returns a future that ends when it is worth another try."""
        with self._lock:
            if self._cancelled:
                raise asyncio.CancelledError
            if self._messages > 0 and self._bytes > 0:
                self._messages -= 1
                self._bytes -= size
                return None
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, future))
            return future

    def add(self, messages: int, size: int) -> None:
        """Adds what the client has taken."""
        with self._lock:
            self._messages += messages
            self._bytes += size
        self._wake()

    def cancel(self) -> None:
        """Ends every wait, now and later."""
        with self._lock:
            self._cancelled = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            try:
                loop.call_soon_threadsafe(_settle, future)
            except RuntimeError:
                # The event loop is closed, so no task waits.
                continue


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def is_async_generator(function: Callable[..., Any]) -> bool:
    """Whether a call returns an async generator; also works for objects and `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__
    return inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(call)


def sending(function: Callable[[Any, Any], Any]) -> Handler:
    """Wraps a handler that is an async generator: it sends each message. Returns other handlers."""
    if not is_async_generator(function):
        return function

    async def handler(context: Context, data: Any) -> None:
        await send_all(context, function(context, data))

    return handler


async def send_all(context: Context, messages: AsyncGenerator[Any, Any]) -> None:
    """Sends what an async generator yields, and closes it at the end or when it is cancelled."""
    try:
        async for message in messages:
            await context.send(message)
    finally:
        await messages.aclose()
