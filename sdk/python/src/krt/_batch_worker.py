"""The worker of a node with batches: one call of the handler for several deliveries."""

from __future__ import annotations

import asyncio
import sys
from time import time_ns
from typing import TYPE_CHECKING, Any, List, Tuple

from . import _protocol
from ._batches import Batch, checked, running, working_for
from ._delivery import current
from ._worker import Ended, Worker

if TYPE_CHECKING:
    from ._delivery import Delivery
    from ._protocol import Body

Frames = List[Tuple[int, "Body"]]
"""The ids and bodies of the deliveries of a batch."""


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

    async def _serve_in_turn(self) -> None:
        inbox, wait = self._inbox, self._wait
        task: Any = asyncio.current_task()
        while True:
            while not inbox:
                if self.stopping:
                    return
                if not wait.poll():
                    await wait.wait()
            batch, data = self._open(*inbox.popleft())
            batch.task = task
            end = await self._handle(batch, data)
            if batch.cancelled and sys.version_info >= (3, 11):
                task.uncancel()
            if wait.owes_turn(end):
                await wait.turn()

    def _enter(self, batch: Batch) -> None:
        current.set(None)
        running.set(batch)

    def _end(self, batch: Batch, answer: Any) -> list[Ended]:
        answers = checked(answer, len(batch.deliveries))
        return [self._end_one(*pair) for pair in zip(batch.deliveries, answers)]

    def _end_one(self, delivery: Delivery, answer: Any) -> Ended:
        """Returns the end of a delivery: its own answer, or its own error."""
        with working_for(delivery):
            if isinstance(answer, BaseException):
                return Ended(*self._fail(delivery, answer))
            try:
                ended: Ended = super()._end(delivery, answer)
            except Exception as error:
                return Ended(*self._fail(delivery, error))
            return ended

    def _end_failed(self, batch: Batch, error: BaseException) -> list[Ended]:
        """Returns the end of all deliveries. The log of a request gets only its own error."""
        if len(batch.deliveries) > 1:
            failed = self._fail(batch, error)
        else:
            with working_for(batch.deliveries[0]):
                failed = self._fail(batch, error)
        return [Ended(*failed, flags=_protocol.WHOLE)] * len(batch.deliveries)

    def _answer(self, batch: Batch, ended: list[Ended], start: int, end: int) -> None:
        """Writes the RESULTs of a batch."""
        self._streams.finish(None)
        parts: list[bytes] = []
        for delivery, (status, last, body, flags) in zip(batch.deliveries, ended):
            del self._working[delivery.id], self._batches[delivery.id]
            all_flags = flags | delivery.early_exit
            parts += (
                _protocol.result(delivery.id, status, all_flags, start, end, last, body),
                body,
            )
        self._link.finish_all(batch.deliveries, b"".join(parts))

    def _skip(self, batch: Batch) -> None:
        now = time_ns()
        self._answer(batch, [Ended(_protocol.CANCELLED)] * len(batch.deliveries), now, now)

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
