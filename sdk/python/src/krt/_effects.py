"""What a context needs from the world: the engine's side, or a test's."""

from __future__ import annotations

from typing import Any, Protocol

Measurement = dict[str, Any]
"""The body of a MEASUREMENT."""


class Effects(Protocol):
    """What becomes of what user code asks of its context. All arguments are checked."""

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document. Raises `CallFailed`."""

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents. Raises `CallFailed`."""

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement, some time."""

    def reply(self, response: Any) -> None:
        """Answers the client now."""
