"""`Effects` that go to the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _frames
from ._answers import Packer
from ._calls import CallFailed
from ._delivery import current

if TYPE_CHECKING:
    from ._calls import Calls
    from ._effects import Measurement
    from ._frames import Hello
    from ._link import Link


class Engine:
    """Turns what user code asks of its context into frames."""

    def __init__(self, hello: Hello, link: Link, calls: Calls) -> None:
        self._link = link
        self._calls = calls
        self._pack = Packer.within(hello).pack
        self._room = hello.max_frame - _frames.CALL_OVERHEAD

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document."""
        await self._call(_frames.SAVE, b"document", collection, document)

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents."""
        return await self._call(_frames.FIND, b"query", collection, query)

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement, some time."""
        body = _frames.json_body(measurement)
        self._check(len(body))
        self._link.hold(_frames.MEASUREMENT, body)

    def reply(self, response: Any) -> None:
        """Answers the client now."""
        delivery = current.get()
        assert delivery is not None, "the context has looked"
        begin, body = self._pack(response)
        self._link.send(_frames.frame(_frames.EARLY_REPLY, delivery.id, begin + body))

    async def _call(self, kind: int, name: bytes, collection: str, body: bytes) -> list[bytes]:
        where = json.dumps(collection).encode()
        fields = b'"collection":%b,"%b":%b' % (where, name, body)
        self._check(len(fields))
        return await self._calls.call(kind, fields)

    def _check(self, size: int) -> None:
        if size > self._room:
            raise CallFailed(f"it has {size} bytes, more than the limit of {self._room} bytes")
