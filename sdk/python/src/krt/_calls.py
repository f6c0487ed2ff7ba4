"""Calls to the engine that have a reply: SAVE and FIND."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from . import _frames
from ._delivery import current_id

if TYPE_CHECKING:
    from ._link import Link


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
        number, call = next(self._made) % _frames.MAX_ID + 1, _Call()
        self._waiting[number] = call
        self._link.send(_frames.frame(kind, number, b'{"delivery":%d,%b}' % (current_id(), fields)))
        return await call.future

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
            raise _frames.ProtocolError(f"no call {number} waits for an answer")
        return call
