"""The delivery in flight, and the context variable that links running code to it."""

from __future__ import annotations

import json
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from ._streams import Outflow


class Delivery:
    """A message that the worker holds until it writes the RESULT."""

    # Defaults of the class, which cost a message nothing.
    replied = False
    outflow: Outflow | None = None
    """Limits the messages of a streamed answer; `None` if the answer is one message."""
    early_exit = False
    cancelled = False
    open = True
    task: asyncio.Task[Any] | None = None

    def __init__(self, number: int, request: bytes = b"", metadata: bytes = b"") -> None:
        self.id = number
        self.request = request
        self.metadata = metadata

    def deadline(self) -> float | None:
        """Returns the seconds left until the client stops waiting; `None` if no client waits."""
        deadline: int | None = self._fields().get("deadline")
        if deadline is None or self.replied:
            return None
        return max((deadline - time_ns()) / 1e9, 0.0)

    def client(self) -> dict[str, list[str]]:
        """Returns what the client sent beside its message."""
        client: dict[str, list[str]] = self._fields().get("client", {})
        return client

    def trace_headers(self) -> dict[str, str]:
        """Returns the W3C trace context."""
        fields = self._fields()
        return {name: fields[name] for name in ("traceparent", "tracestate") if name in fields}

    def _fields(self) -> dict[str, Any]:
        """Parses the metadata on demand, since few handlers use them."""
        fields: dict[str, Any] = json.loads(self.metadata) if self.metadata else {}
        return fields


current: ContextVar[Delivery | None] = ContextVar("krt_delivery", default=None)
"""The delivery of the running code; tasks, and threads with a copy of the context, keep it."""
set_current = current.set


def current_id() -> int:
    """Returns the id for a frame of the running code, answered or not; 0 outside a delivery."""
    delivery = current.get()
    return 0 if delivery is None else delivery.id
