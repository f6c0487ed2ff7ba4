"""The interface between a context and the engine, or a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # Python 3.7 has no `Protocol`

Measurement = Dict[str, Any]
"""The body of a MEASUREMENT."""


class Effects(Protocol):
    """The effects of a context's methods. All arguments are checked."""

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document. Raises `CallFailed`."""

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents. Raises `CallFailed`."""

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement in the background."""

    def reply(self, response: Any) -> None:
        """Answers the client now."""
