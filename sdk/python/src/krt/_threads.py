"""Runs plain functions of user code, which would block the event loop.

With a concurrency of 1 they run on the process's main thread, where the import and `init` ran, and
the event loop moves to its own thread. So objects bound to a thread (a SQLite connection, a signal
handler, a library that needs the main thread) stay on the thread that made them.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import queue
import sys
import threading
from _queue import SimpleQueue

# Real threads, even if user code replaces them with greenlets (gevent) later.
from _thread import start_new_thread
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from ._delivery import current
from ._process import leave_child
from ._streams import send_all

if TYPE_CHECKING:
    from ._user_code import Handler

Function = Callable[[Any, Any], Any]
_END = object()
"""The end of a generator."""
Call = Callable[[], None]
Outcome = Tuple[Any, Optional[BaseException]]


class Pool:
    """Calls functions on a pool that grows with the number of calls in flight."""

    def __init__(self) -> None:
        # Greenlets need gevent's own queue.
        kind: Any = queue.SimpleQueue if _has_greenlets() else SimpleQueue
        self._calls: SimpleQueue[Call] = kind()
        self._busy = 0
        self._threads = 0

    def handler(self, function: Function) -> Handler:
        """Wraps a plain function as an awaitable one."""

        async def handler(context: Any, data: Any) -> Any:
            self._busy += 1
            if self._busy > self._threads:
                self._threads += 1
                name = f"krt-handler-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            try:
                return await _handle(self._calls.put, function, context, data)
            finally:
                self._busy -= 1

        return handler

    def end(self) -> None:
        """Ends the threads that wait for calls."""
        for _ in range(self._threads):
            # Ends a thread without a message.
            self._calls.put(sys.exit)

    def _work(self) -> None:
        while True:
            self._calls.get()()


class MainThread:
    """Calls functions on the thread that calls `lend`."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()

    def handler(self, function: Function) -> Handler:
        """Wraps a plain function as an awaitable one, for another thread's event loop."""

        async def handler(context: Any, data: Any) -> Any:
            return await _handle(self._calls.put, function, context, data)

        return handler

    def lend(self, serve: Callable[[], None], stop: Callable[[], object]) -> None:
        """Runs `serve` on another thread, and runs calls on this one until `serve` returns.

        Raises the error of `serve`. A signal handler of user code may raise here: then `stop`,
        which must make `serve` return, is called, and the error is raised afterwards.
        """
        errors: list[BaseException] = []

        def work() -> None:
            try:
                serve()
            except BaseException as error:
                errors.append(error)
            finally:
                self._calls.put(None)

        start_new_thread(work, ())
        take = _patient(self._calls.get)
        while True:
            try:
                call = take()
                if call is None:
                    break
                call()
            except BaseException as error:
                errors.append(error)
                stop()
        if errors:
            raise errors[0]


def _has_greenlets() -> bool:
    """Whether user code has replaced threads with gevent's greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def _patient(get: Callable[[], Any]) -> Callable[[], Any]:
    """Lets greenlets of user code run while this thread waits, if there are any."""
    if not _has_greenlets():
        return get
    from gevent import get_hub  # type: ignore[import-untyped,import-not-found,unused-ignore]

    pool = get_hub().threadpool
    return lambda: pool.apply(get)


async def _handle(put: Callable[[Call], None], function: Function, context: Any, data: Any) -> Any:
    """Calls a handler. Sends what it yields, if it is a generator."""
    answer = await _call(put, function, context, data)
    # In a batch there is no delivery, and no stream.
    if inspect.isgenerator(answer) and current.get() is not None:
        try:
            while True:
                message = await _call(put, next, answer, _END)
                if message is _END:
                    return None
                await context.send(message)
        finally:
            await _call(put, answer.close)
    if inspect.isasyncgen(answer) and current.get() is not None:
        return await send_all(context, answer)
    return answer


async def _call(put: Callable[[Call], None], function: Callable[..., Any], *arguments: Any) -> Any:
    """Queues a function call and awaits it, with the caller's context variables."""
    run = contextvars.copy_context().run
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Outcome] = loop.create_future()

    def call() -> None:
        outcome = run(_attempt, function, *arguments)
        loop.call_soon_threadsafe(_settle, future, outcome)

    put(call)
    return await _answer(await future)


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _attempt(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """Calls a function; returns an error, since a future does not accept every exception."""
    process = os.getpid()
    try:
        outcome: Outcome = (function(*arguments), None)
    except BaseException as error:
        outcome = None, error
    if os.getpid() != process:
        leave_child(outcome[1])
    return outcome


async def _answer(outcome: Outcome) -> Any:
    answer, error = outcome
    if error is not None:
        try:
            raise error
        finally:
            # The traceback holds this frame; deleting the variables breaks the reference cycle.
            del error, outcome
    return await answer if inspect.isawaitable(answer) else answer
