"""Batches: several deliveries in one call of the handler, and the contexts for them.

`_batch_worker` makes the calls.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Sequence

from ._context import Context
from ._delivery import current
from .errors import AnswerError, EarlyReplyError, Error

if TYPE_CHECKING:
    import asyncio

    from ._context import Effects, Measurement
    from ._delivery import Delivery
    from ._metadata import Metadata


class Batch:
    """The deliveries of one call of the handler."""

    __slots__ = ("cancelled", "deliveries", "items", "task")

    def __init__(self, deliveries: list[Delivery]) -> None:
        self.deliveries = deliveries
        self.cancelled = False
        """Whether every delivery was cancelled."""
        self.items: list[Context] | None = None
        self.task: asyncio.Task[Any] | None = None


running: ContextVar[Batch | None] = ContextVar("krt_batch", default=None)
"""The batch of the running code."""


def checked(answers: object, count: int) -> list[Any]:
    """Returns a handler's answers. Raises `AnswerError` unless there is one for each item."""
    if not isinstance(answers, (list, tuple)):
        kind = type(answers)
        raise AnswerError(
            f"the handler of a batch must return a list, not a `{kind.__module__}."
            f"{kind.__qualname__}`; hint: return one answer for each item, in their order"
        )
    if len(answers) != count:
        raise AnswerError(
            f"the handler returned a list of length {len(answers)} for a batch of {count}; hint: "
            "return one answer for each item, in their order: a message, an exception or `None`"
        )
    return list(answers)


class BatchContext(Context):
    """The context of a node with `batch` in krt.yml: of the node, and of each item of a batch.

    Its own methods work for the node: values, paths, documents, measurements, and a logger without
    a request. What belongs to one request is on a context in `items`.
    """

    @property
    def items(self) -> Sequence[Context]:
        """The contexts of the batch's items, in the order of the handler's list.

        Each has the logger, the effects and the early reply of its own request.
        """
        batch = running.get()
        if batch is None:
            raise Error("[ctx.items] there is no batch in `init`; hint: use it in `handler`")
        if batch.items is None:
            batch.items = [ItemContext(self, delivery) for delivery in batch.deliveries]
        return batch.items

    @property
    def deadline(self) -> float | None:
        """`None` in `init`; in `handler` each item has its own."""
        if running.get() is None:
            return super().deadline
        raise Error(_of_items("deadline"))

    @property
    def metadata(self) -> Metadata:
        """Empty in `init`; in `handler` each item has its own."""
        if running.get() is None:
            return super().metadata
        raise Error(_of_items("metadata"))

    def trace_headers(self) -> dict[str, str]:
        """Returns nothing in `init`; in `handler` each item has its own."""
        if running.get() is None:
            return super().trace_headers()
        raise Error(_of_items("trace_headers"))

    def _request(self, name: str) -> Delivery:
        if running.get() is None:
            return super()._request(name)
        raise Error(_of_items(name))

    def _delivery(self, method: str) -> Delivery:
        if running.get() is None:
            return super()._delivery(method)
        text = _of_items(method)
        raise EarlyReplyError(text) if method == "early_reply" else Error(text)


def _of_items(method: str) -> str:
    return (
        f"[ctx.{method}] a batch has several requests; hint: call it on the context of one, such "
        f"as `ctx.items[0].{method}`"
    )


class ItemContext(Context):
    """The context of one item of a batch. It shares the values of the node's context."""

    def __init__(self, node: BatchContext, delivery: Delivery) -> None:
        logger = ItemLogger(node.logger, delivery)
        effects = ItemEffects(node._effects, delivery)
        super().__init__(node._identity, logger, effects, node._notices)
        self._values = node._values
        self._own = delivery

    def _current(self) -> Delivery:
        return self._own


@contextmanager
def working_for(delivery: Delivery) -> Iterator[None]:
    """Links the running code to a delivery of its batch."""
    token = current.set(delivery)
    try:
        yield
    finally:
        current.reset(token)


class ItemLogger(logging.Logger):
    """Writes to the node's log, with the request of an item."""

    def __init__(self, logger: logging.Logger, delivery: Delivery) -> None:
        super().__init__(logger.name)
        self._logger = logger
        self._delivery = delivery

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # `logging` names it
        """Whether a record of this level is logged."""
        return self._logger.isEnabledFor(level)

    def getEffectiveLevel(self) -> int:  # noqa: N802  # `logging` names it
        """Returns the level of the node's log."""
        return self._logger.getEffectiveLevel()

    def getChild(self, suffix: str) -> ItemLogger:  # noqa: N802  # `logging` names it
        """Returns a logger below this one, with the same request."""
        return ItemLogger(self._logger.getChild(suffix), self._delivery)

    def handle(self, record: logging.LogRecord) -> None:
        """Passes a record on to the node's log."""
        with working_for(self._delivery):
            self._logger.handle(record)


class ItemEffects:
    """The effects of one item's context."""

    def __init__(self, effects: Effects, delivery: Delivery) -> None:
        self._effects = effects
        self._delivery = delivery

    async def save(self, collection: str, document: bytes) -> None:
        """Stores a document."""
        with working_for(self._delivery):
            await self._effects.save(collection, document)

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        """Searches documents."""
        with working_for(self._delivery):
            return await self._effects.find(collection, query)

    def measure(self, measurement: Measurement) -> None:
        """Stores a measurement in the background."""
        with working_for(self._delivery):
            self._effects.measure(measurement)

    def reply(self, response: Any) -> None:
        """Answers the item's client now."""
        with working_for(self._delivery):
            self._effects.reply(response)

    async def send(self, message: Any) -> bool:
        """Sends a message of the item's answer."""
        with working_for(self._delivery):
            return await self._effects.send(message)
