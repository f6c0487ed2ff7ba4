"""Tries a handler without an engine.

    from krt.testing import FakeContext, run

    def test_price():
        context = FakeContext()
        answer = run(main.handler, Request(category="high"), init=main.init, context=context)
        assert answer.price > 100
        assert context.saved("sales") == [{"price": 120.5}]

The context checks arguments like the real one, and records the effects instead of sending them.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time_ns
from typing import Any, Callable

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from . import _contract, _documents, _pb2
from ._batches import Batch, BatchContext, checked, running
from ._connection import CallFailed
from ._context import Context, Identity, Measurement
from ._delivery import Delivery, current
from ._metadata import BINARY
from ._payload import Packer, PlainPacker
from ._streams import Outflow, sending
from ._threads import MainThread
from ._user_code import is_async

__all__ = ["FakeBatchContext", "FakeContext", "Log", "run", "run_batch", "run_stream"]

_PROTOS = "KRT_PROTOS"
"""Names a file with the package's descriptors, like those of HELLO; set by `krt test`."""

_MODULES = "KRT_MODULES"
"""Names the folder of the `*_pb2` modules that krt made."""

_UNLIMITED = 2**31


@dataclass(frozen=True)
class Log:
    """A log record."""

    level: str
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    text: str


@dataclass
class _Kept:
    """Records the calls on a context. Implements the context's `Effects`."""

    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    replies: list[Any] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    failure: str | None = None
    pack: Callable[[Any], Any] = Packer(_UNLIMITED).pack

    async def save(self, collection: str, document: bytes) -> None:
        self._fail()
        self.documents.setdefault(collection, []).append(_documents.decode(document))

    async def find(self, collection: str, query: bytes) -> list[bytes]:
        self._fail()
        wanted = _documents.decode(query)
        _refuse_operators(wanted)
        kept = self.documents.get(collection, [])
        return [_documents.encode(document) for document in kept if _matches(document, wanted)]

    def measure(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def reply(self, response: Any) -> None:
        self.pack(response)
        self.replies.append(response)

    async def send(self, message: Any) -> bool:
        self.pack(message)
        self.sent.append(message)
        return True

    def _fail(self) -> None:
        if self.failure is not None:
            raise CallFailed(self.failure)


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.logs: list[Log] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.logs.append(Log(record.levelname, self.format(record)))


class FakeContext(Context):
    """A context that keeps everything in memory, for assertions.

    `base_path` is the base of `path`, by default the working directory. `replied` says whether an
    earlier node already answered the client. `request_id` is the id of the request in each `run`,
    and `deadline` the seconds that it then has, or `None` for no deadline. `metadata` has what the
    client sent: for each name a value or a list of values, which are bytes if the name ends in
    `-bin`.
    """

    def __init__(
        self,
        *,
        base_path: str | os.PathLike[str] = ".",
        replied: bool = False,
        request_id: str = "request",
        deadline: float | None = None,
        metadata: Mapping[str, str | bytes | Sequence[str] | Sequence[bytes]] | None = None,
        node: str = "node",
        version: str = "version",
        version_id: str = "version-id",
    ) -> None:
        self._kept = _Kept()
        self._recorder = _Recorder()
        self._replied = replied
        self._request_id = request_id
        self._seconds = deadline
        self._client = {name.lower(): _sent(name, sent) for name, sent in (metadata or {}).items()}
        self._exited = False
        logger = logging.Logger(f"krt.{node}")
        logger.addHandler(self._recorder)
        path = os.path.abspath(base_path)
        super().__init__(Identity(node, version, version_id, path), logger, self._kept)

    @property
    def logs(self) -> list[Log]:
        """The log records, in order; a traceback is part of its record's text."""
        return self._recorder.logs

    @property
    def measurements(self) -> list[Measurement]:
        """The arguments of `measurement.save`: `measurement`, `fields`, `tags`, `time` in ns."""
        return self._kept.measurements

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """The documents of `prediction.save` and `prediction.save_pending`."""
        return self.saved(_contract.PREDICTIONS)

    @property
    def prediction_updates(self) -> list[dict[str, Any]]:
        """The documents of `prediction.update`."""
        return self.saved(_contract.UPDATES)

    @property
    def replies(self) -> list[Any]:
        """The early replies to the client."""
        return self._kept.replies

    @property
    def sent(self) -> list[Any]:
        """The messages that handlers sent with `send`, or yielded."""
        return self._kept.sent

    @property
    def exited(self) -> bool:
        """Whether the handler of the last `run` called `early_exit`."""
        return self._exited

    def saved(self, collection: str) -> list[dict[str, Any]]:
        """The documents of a collection, as the store would return them.

        Append to the list to add documents for `db.find`. It compares whole values at the top of a
        document, or at a dotted path, and refuses operators such as `$gt`.
        """
        return self._kept.documents.setdefault(collection, [])

    def fail(self, reason: str | None) -> None:
        """Makes later calls of `save` and `find` fail with this reason; `None` resets it."""
        self._kept.failure = reason

    def _deliver(self, number: int, request_id: str) -> Delivery:
        metadata: dict[str, Any] = {"client": self._client}
        if self._seconds is not None:
            metadata["deadline"] = time_ns() + round(self._seconds * 1e9)
        delivery = Delivery(number, request_id.encode(), json.dumps(metadata).encode())
        delivery.replied = self._replied
        return delivery

    @contextmanager
    def _in_request(self, outflow: Outflow | None = None) -> Iterator[None]:
        delivery = self._deliver(1, self._request_id)
        delivery.outflow = outflow
        token = current.set(delivery)
        try:
            yield
        finally:
            delivery.open = False
            self._exited = delivery.early_exit
            current.reset(token)


class FakeBatchContext(FakeContext, BatchContext):
    """A context for the handler of a node with `batch` in krt.yml.

    `items` has a `FakeContext` for each message of the last `run_batch`, for assertions about what
    the handler did for it. They share values and documents. The ids of their requests are
    `request_id` with `-1`, `-2` and so on.
    """

    _items: Sequence[_FakeItem] = ()

    @property
    def items(self) -> Sequence[FakeContext]:
        """The contexts of the items, in the order of the handler's list."""
        return self._items

    @contextmanager
    def _batch(self, count: int, pack: Callable[[Any], Any]) -> Iterator[None]:
        deliveries = [
            self._deliver(number, f"{self._request_id}-{number}") for number in range(1, count + 1)
        ]
        self._items = [_FakeItem(self, delivery, pack) for delivery in deliveries]
        tokens = current.set(None), running.set(Batch(deliveries))
        try:
            yield
        finally:
            for delivery in deliveries:
                delivery.open = False
            current.reset(tokens[0])
            running.reset(tokens[1])


class _FakeItem(FakeContext):
    """The context of one item of a batch."""

    def __init__(
        self, batch: FakeBatchContext, delivery: Delivery, pack: Callable[[Any], Any]
    ) -> None:
        node, version, version_id, base_path = batch._identity
        super().__init__(base_path=base_path, node=node, version=version, version_id=version_id)
        self._kept.documents = batch._kept.documents
        self._kept.pack = pack
        self._values = batch._values
        self._own = delivery

    @property
    def exited(self) -> bool:
        """Whether the handler called `early_exit` for this item."""
        return self._own.early_exit

    def _current(self) -> Delivery:
        return self._own


def run(
    handler: Callable[[Any, Any], Any],
    message: Message | Mapping[str, Any],
    *,
    init: Callable[[Any], Any] | None = None,
    context: FakeContext | None = None,
) -> Any:
    """Calls `init`, if given, and `handler` with a message, and returns the answer.

    Pass a dict to the handler of a node with `payload: json`, which then must return plain data.
    Exceptions of the handler propagate. Raises `krt.errors.AnswerError` if the node may not return
    the answer.
    """
    trial = _Trial(handler, message, init, context or FakeContext())
    return trial.run() if is_async(handler) else trial.run_plain()


def run_batch(
    handler: Callable[[Any, Any], Any],
    messages: Sequence[Message | Mapping[str, Any]],
    *,
    init: Callable[[Any], Any] | None = None,
    context: FakeBatchContext | None = None,
) -> list[Any]:
    """Calls `init`, if given, and the handler of a node with `batch` with a list of messages.

    Returns the handler's list, in which an exception is the error of its own item. Pass dicts to
    the handler of a node with `payload: json`. Exceptions of the handler propagate. Raises
    `krt.errors.AnswerError` unless the list has an answer for each message, which the node may
    return.
    """
    trial = _BatchTrial(handler, messages, init, context or FakeBatchContext())
    answers: list[Any] = trial.run() if is_async(handler) else trial.run_plain()
    return answers


def run_stream(
    handler: Callable[[Any, Any], Any],
    message: Message | Mapping[str, Any],
    *,
    init: Callable[[Any], Any] | None = None,
    context: FakeContext | None = None,
) -> list[Any]:
    """Calls `init`, if given, and a handler whose RPC answers with a stream.

    Returns the messages of the answer: those that the handler yielded or sent with `send`, and the
    one that it returned, if any. Otherwise works like `run`.
    """
    trial = _StreamTrial(handler, message, init, context or FakeContext())
    messages: list[Any] = trial.run() if is_async(handler) else trial.run_plain()
    return messages


@dataclass
class _Trial:
    """A call of `run`."""

    handler: Callable[[Any, Any], Any]
    message: Any
    init: Callable[[Any], Any] | None
    context: Any

    def run(self) -> Any:
        async def live() -> Any:
            await self._initialise()
            return await self._handle(sending(self.handler))

        return asyncio.run(live())

    def run_plain(self) -> Any:
        """Calls a plain handler on the thread of `init`, as a worker does."""
        main_thread, answers = MainThread(), []
        loop = asyncio.new_event_loop()

        def handle() -> None:
            handler = main_thread.handler(self.handler)
            answers.append(loop.run_until_complete(self._handle(handler)))

        try:
            loop.run_until_complete(self._initialise())
            main_thread.lend(handle, stop=lambda: None)
        finally:
            loop.close()
        return answers[0]

    async def _initialise(self) -> None:
        self.context._kept.pack = self._packer().pack
        if self.init is not None:
            pending = self.init(self.context)
            if inspect.isawaitable(pending):
                await pending

    async def _handle(self, handler: Callable[[Any, Any], Any]) -> Any:
        with self.context._in_request():
            answer = await handler(self.context, _data(self.message))
        if answer is not None:
            self.context._kept.pack(answer)
        return answer

    def _packer(self) -> Packer | PlainPacker:
        return _packer_for(self.message)


class _StreamTrial(_Trial):
    """A call of `run_stream`."""

    async def _handle(self, handler: Callable[[Any, Any], Any]) -> Any:
        before = len(self.context.sent)
        with self.context._in_request(Outflow((_UNLIMITED, _UNLIMITED))):
            answer = await handler(self.context, _data(self.message))
        messages = self.context.sent[before:]
        if answer is not None:
            self.context._kept.pack(answer)
            messages.append(answer)
        return messages


class _BatchTrial(_Trial):
    """A call of `run_batch`, whose `message` is a list."""

    async def _handle(self, handler: Callable[[Any, Any], Any]) -> Any:
        data, pack = [_data(message) for message in self.message], self._packer().pack
        with self.context._batch(len(data), pack):
            answers = checked(await handler(self.context, data), len(data))
        for answer in answers:
            if answer is not None and not isinstance(answer, BaseException):
                pack(answer)
        return answers

    def _packer(self) -> Packer | PlainPacker:
        return _packer_for(next(iter(self.message), None))


def _sent(name: str, sent: Any) -> list[str]:
    """Returns the values of a name as the engine sends them."""
    kind = bytes if name.lower().endswith(BINARY) else str
    values: list[Any] = [sent] if isinstance(sent, (str, bytes)) else list(sent)
    if not all(isinstance(value, kind) for value in values):
        raise TypeError(f"the values of `{name}` in `metadata` must be of type `{kind.__name__}`")
    return [b64encode(value).decode() if kind is bytes else value for value in values]


def _packer_for(message: Any) -> Packer | PlainPacker:
    return (Packer if isinstance(message, Message) else PlainPacker)(_UNLIMITED)


def _data(message: Message | Mapping[str, Any]) -> Any:
    if isinstance(message, AnyMessage):
        return message
    if not isinstance(message, Message):
        return json.loads(b"".join(PlainPacker(_UNLIMITED).pack(message)))
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _refuse_operators(query: Any) -> None:
    if isinstance(query, dict):
        for key, value in query.items():
            if key.startswith("$"):
                raise NotImplementedError(
                    f"the query has the operator `{key}`, a FakeContext compares values only; "
                    "hint: test it with `krt run`"
                )
            _refuse_operators(value)


def _matches(document: dict[str, Any], query: dict[str, Any]) -> bool:
    return all(_at(document, path.split(".")) == wanted for path, wanted in query.items())


def _at(value: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _make_protos_importable() -> None:
    """Makes `*_pb2` modules importable in tests that `krt test` runs."""
    path = os.environ.get(_PROTOS)
    if path:
        with open(path, encoding="ascii") as file:
            _pb2.install(file.read(), os.environ.get(_MODULES))


_make_protos_importable()
