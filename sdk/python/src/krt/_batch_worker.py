"""The worker of a node with batches: one call of the handler for several deliveries."""

from __future__ import annotations

import asyncio
from time import time_ns
from typing import TYPE_CHECKING, Any, List, NamedTuple, Tuple

from . import _protocol
from ._batches import Batch, checked, running, working_for
from ._delivery import current
from ._process import leave_child
from ._worker import Worker

if TYPE_CHECKING:
    from ._delivery import Delivery
    from ._protocol import Body

Frames = List[Tuple[int, "Body"]]
"""The ids and bodies of the deliveries of a batch."""


class Ended(NamedTuple):
    """The end of one delivery: the status, and the last parts of its RESULT."""

    status: int
    last: bytes = b""
    body: bytes = b""


class BatchWorker(Worker):
    """Handles the batches that the engine delivers."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._begun: Frames = []
        """The deliveries of a batch whose last one has not arrived."""
        self._batches: dict[int, Batch] = {}
        """The batches in flight, by the id of each of their deliveries."""
        self._queue = self._gather

    def _gather(self, frame: tuple[int, Body]) -> None:
        """Queues a batch with its last delivery."""
        self._begun.append(frame)
        if not _protocol.has_more(frame[1]):
            batch, self._begun = self._begun, []
            self._inbox.append((frame[0], batch))

    def _open(self, number: int, frames: Frames) -> tuple[Batch, list[Any]]:
        """Parses the deliveries of a batch."""
        deliveries, data = [], []
        for each, body in frames:
            delivery, item = super()._open(each, body)
            deliveries.append(delivery)
            data.append(item)
        batch = Batch(deliveries)
        self._batches.update((delivery.id, batch) for delivery in deliveries)
        return batch, data

    async def _handle_apart(self, batch: Batch, data: list[Any]) -> None:
        batch.task = asyncio.current_task()
        if batch.cancelled:
            now = time_ns()
            self._answer(batch, [Ended(_protocol.CANCELLED)] * len(data), 0, now, now)
        else:
            await self._handle(batch, data)

    async def _handle(self, batch: Batch, data: list[Any]) -> int:
        """Handles a batch, writes its RESULTs, and returns the end time of the handler."""
        current.set(None)
        running.set(batch)
        whole = 0
        start = time_ns()
        try:
            answers = await self._handler(self._context, data)
            end = time_ns()
            if self._link.forked:
                leave_child(None)
            answers = checked(answers, len(data))
            ended = [self._end(*pair) for pair in zip(batch.deliveries, answers)]
        except GeneratorExit:
            raise
        except BaseException as error:
            end = time_ns()
            if self._link.forked:
                leave_child(error)
            whole = _protocol.WHOLE
            ended = [self._end_whole(batch, error)] * len(data)
        self._streams.finish(None)
        self._answer(batch, ended, whole, start, end)
        return end

    def _end(self, delivery: Delivery, answer: Any) -> Ended:
        """Returns the end of a delivery: its own answer, or its own error."""
        with working_for(delivery):
            if isinstance(answer, BaseException):
                return Ended(*self._fail(delivery, answer))
            if answer is None:
                return Ended(_protocol.NONE)
            try:
                return Ended(_protocol.ANSWER, *self._pack(answer))
            except Exception as error:
                return Ended(*self._fail(delivery, error))

    def _end_whole(self, batch: Batch, error: BaseException) -> Ended:
        """Returns the end of all deliveries. The log of a request gets only its own error."""
        if len(batch.deliveries) > 1:
            return Ended(*self._fail(batch, error))
        with working_for(batch.deliveries[0]):
            return Ended(*self._fail(batch, error))

    def _answer(self, batch: Batch, ended: list[Ended], whole: int, start: int, end: int) -> None:
        """Writes the RESULTs of a batch."""
        parts: list[bytes] = []
        for delivery, (status, last, body) in zip(batch.deliveries, ended):
            del self._working[delivery.id], self._batches[delivery.id]
            flags = delivery.early_exit | whole
            parts += (_protocol.result(delivery.id, status, flags, start, end, last, body), body)
        self._link.finish_all(batch.deliveries, b"".join(parts))

    def _on_cancel(self, number: int, body: bytes = b"") -> None:
        delivery, batch = self._working.get(number), self._batches.get(number)
        if delivery is None or batch is None:
            self._drop(number)
        elif self._stoppable and not batch.cancelled:
            delivery.cancelled = True
            batch.cancelled = all(other.cancelled for other in batch.deliveries)
            if batch.cancelled and batch.task is not None:
                batch.task.cancel()

    def _drop(self, number: int) -> None:
        """Answers a delivery whose batch has not started, if there is one."""
        for batch in (*(frames for _, frames in self._inbox), self._begun):
            for index, (queued, _) in enumerate(batch):
                if queued == number:
                    del batch[index]
                    self._answer_cancelled(number)
                    self._drop_empty()
                    return

    def _drop_empty(self) -> None:
        for entry in list(self._inbox):
            if not entry[1]:
                self._inbox.remove(entry)
