"""Tries a handler without an engine.

    from krt.testing import FakeContext, run

    def test_price():
        context = FakeContext()
        answer = run(main.handler, Request(category="high"), init=main.init, context=context)
        assert answer.price > 100
        assert context.saved("sales") == [{"price": 120.5}]

The context checks arguments as the real one does, and keeps what it is told instead of sending it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from . import _contract, _documents, _pb2
from ._answers import Packer
from ._calls import CallFailed
from ._context import Context, Identity
from ._delivery import Delivery, current
from ._effects import Measurement
from ._plain import PlainPacker
from ._user_code import is_async

__all__ = ["FakeContext", "Log", "run"]

_PROTOS = "KRT_PROTOS"
"""Names a file with the package's descriptors, as a host has them in HELLO: `krt test` sets it."""

_UNLIMITED = 2**31


@dataclass(frozen=True)
class Log:
    """One record that was logged."""

    level: str
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    text: str


@dataclass
class _Kept:
    """What a context was told. It is the context's `Effects`."""

    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    replies: list[Any] = field(default_factory=list)
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
    """A context that keeps everything in memory, to look at afterwards.

    `base_path` is what `path` joins to, by default the working directory. `replied` is whether the
    client was answered by an earlier node.
    """

    def __init__(
        self,
        *,
        base_path: str | os.PathLike[str] = ".",
        replied: bool = False,
        node: str = "node",
        version: str = "version",
        version_id: str = "version-id",
    ) -> None:
        self._kept = _Kept()
        self._recorder = _Recorder()
        self._replied = replied
        self._exited = False
        logger = logging.Logger(f"krt.{node}")
        logger.addHandler(self._recorder)
        path = os.path.abspath(base_path)
        super().__init__(Identity(node, version, version_id, path), logger, self._kept)

    @property
    def logs(self) -> list[Log]:
        """What was logged, in order; a traceback is part of its record's text."""
        return self._recorder.logs

    @property
    def measurements(self) -> list[Measurement]:
        """What `measurement.save` was given: `measurement`, `fields`, `tags`, `time` in ns."""
        return self._kept.measurements

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """The documents that `prediction.save` made."""
        return self.saved(_contract.PREDICTIONS)

    @property
    def replies(self) -> list[Any]:
        """What the client was answered early."""
        return self._kept.replies

    @property
    def exited(self) -> bool:
        """Whether the last handler that `run` called asked for an early exit."""
        return self._exited

    def saved(self, collection: str) -> list[dict[str, Any]]:
        """The documents of a collection, as the store would give them back.

        Append to the list to have `db.find` find more. It compares whole values at the top of a
        document, or at a dotted path, and refuses operators such as `$gt`.
        """
        return self._kept.documents.setdefault(collection, [])

    def fail(self, reason: str | None) -> None:
        """Makes each later `save` and `find` fail for this reason; `None` ends that."""
        self._kept.failure = reason

    @contextmanager
    def _request(self) -> Iterator[None]:
        delivery = Delivery(1, self._replied)
        token = current.set(delivery)
        try:
            yield
        finally:
            delivery.open = False
            self._exited = delivery.early_exit
            current.reset(token)


def run(
    handler: Callable[[Any, Any], Any],
    message: Message | Mapping[str, Any],
    *,
    init: Callable[[Any], Any] | None = None,
    context: FakeContext | None = None,
) -> Any:
    """Calls `init`, if one is given, and `handler` with a message, and returns the answer.

    A dict is for the handler of a node with `payload: json`, which then must return plain data.
    What the handler raises is raised. Raises `krt.errors.AnswerError` if the answer is not what
    the node may return.
    """
    return asyncio.run(_run(handler, message, init, context or FakeContext()))


async def _run(
    handler: Callable[[Any, Any], Any],
    message: Message | Mapping[str, Any],
    init: Callable[[Any], Any] | None,
    context: FakeContext,
) -> Any:
    plain = not isinstance(message, Message)
    context._kept.pack = (PlainPacker if plain else Packer)(_UNLIMITED).pack
    if init is not None:
        pending = init(context)
        if inspect.isawaitable(pending):
            await pending
    with context._request():
        answer = await _call(handler, context, _data(message))
    if answer is not None:
        context._kept.pack(answer)
    return answer


async def _call(handler: Callable[[Any, Any], Any], context: FakeContext, data: Any) -> Any:
    if is_async(handler):
        return await handler(context, data)
    answer = await asyncio.to_thread(handler, context, data)
    return await answer if inspect.isawaitable(answer) else answer


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
    """Makes `*_pb2` modules importable where `krt test` runs the tests."""
    path = os.environ.get(_PROTOS)
    if path:
        with open(path, encoding="ascii") as file:
            _pb2.install(file.read())


_make_protos_importable()
