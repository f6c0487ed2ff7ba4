"""`Effects` that send frames to the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _frames
from ._calls import CallFailed
from ._delivery import current
from ._forms import form_of

if TYPE_CHECKING:
    from ._calls import Calls
    from ._effects import Measurement
    from ._frames import Hello
    from ._link import Link


class Engine:
    """Turns calls on the context into frames."""

    def __init__(self, hello: Hello, link: Link, calls: Calls) -> None:
        self._link = link
        self._calls = calls
        self._pack = form_of(hello).pack
        self._most = hello.max_frame
        self._most_other = min(hello.max_frame, _frames.MAX_OTHER)

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document."""
        fields = _fields(collection, b"document", document)
        _check(fields, self._most)
        await self._calls.call(_frames.SAVE, fields)

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents."""
        fields = _fields(collection, b"query", query)
        _check(fields, self._most_other)
        return await self._calls.call(_frames.FIND, fields)

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement in the background."""
        body = _frames.json_body(measurement)
        _check(body, self._most_other)
        self._link.hold(_frames.MEASUREMENT, body)

    def reply(self, response: Any) -> None:
        """Answers the client now."""
        delivery = current.get()
        assert delivery is not None, "the context has looked"
        begin, body = self._pack(response)
        self._link.send(_frames.frame(_frames.EARLY_REPLY, delivery.id, begin + body))


def _fields(collection: str, name: bytes, document: bytes) -> bytes:
    return b'"collection":%b,"%b":%b' % (json.dumps(collection).encode(), name, document)


def _check(body: bytes, most: int) -> None:
    room = most - _frames.CALL_OVERHEAD
    if len(body) > room:
        raise CallFailed(f"it has {len(body)} bytes, more than the limit of {room} bytes")
