"""Chooses the event loop of a worker: the one that user code requests or sets with its policy.

No loop exists before user code is imported, so its changes to asyncio take effect: another policy
(uvloop), another loop, or selectors that run gevent's greenlets.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
