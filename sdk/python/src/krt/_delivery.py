"""The delivery in flight, and the context variable that links running code to it."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from ._streams import Outflow


class Delivery:
    """A message that the worker holds until it writes the RESULT."""

    __slots__ = ("cancelled", "early_exit", "id", "metadata", "open", "outflow", "replied", "task")

    def __init__(
        self,
        number: int,
        replied: bool,
        metadata: bytes = b"",
        outflow: Outflow | None = None,
    ) -> None:
        self.id = number
        self.replied = replied
        self.metadata = metadata
        self.outflow = outflow
        """Limits the messages of a streamed answer; `None` if the answer is one message."""
        self.early_exit = False
        self.cancelled = False
        self.open = True
        self.task: asyncio.Task[Any] | None = None

    def trace_headers(self) -> dict[str, str]:
        """Parses the W3C trace context from the metadata on demand, since few handlers use it."""
        metadata = json.loads(self.metadata) if self.metadata else {}
        return {name: metadata[name] for name in ("traceparent", "tracestate") if name in metadata}


current: ContextVar[Delivery | None] = ContextVar("krt_delivery", default=None)
"""The delivery of the running code; tasks, and threads with a copy of the context, keep it."""


def current_id() -> int:
    """Returns the id for a frame of the running code, answered or not; 0 outside a delivery."""
    delivery = current.get()
    return 0 if delivery is None else delivery.id
