"""`Context`: the argument of `init` and `handler`.

A process has one context. The state of one message is in `_delivery.current`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, NamedTuple

from ._contract import ERR_MISSING_VALUES, ERR_NEW_LABELS, REPLIED_BEFORE
from ._database import Database
from ._delivery import Delivery, current
from ._measurement import Measurements
from ._metadata import Metadata
from ._prediction import Predictions
from .errors import EarlyReplyError, Error

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Protocol

    from google.protobuf.message import Message
else:
    Protocol = object  # Python 3.7 has no `Protocol`

_ONE_ANSWER = (
    "[ctx.send] the RPC has one answer; hint: write `returns (stream …)` in the .proto to answer "
    "with several messages"
)

Measurement = Dict[str, Any]
"""The body of a MEASUREMENT."""


class Identity(NamedTuple):
    """The name of the node and its version, and the path of its package."""

    node: str
    version: str
    version_id: str
    base_path: str


class Context:
    """Gives user code a logger, shared values, stores, early replies and early exit.

    All messages share the context, so every call of `handler` sees the values that `init` keeps
    with `set`.
    """

    logger: logging.Logger
    """Writes to the node's log, with the current request."""
    db: Database
    """Saves and finds documents."""
    measurement: Measurements
    """Saves points of time series."""
    prediction: Predictions
    """Saves predictions for the metrics of a classifier."""

    def __init__(
        self,
        identity: Identity,
        logger: logging.Logger,
        effects: Effects,
        notices: Notices | None = None,
    ) -> None:
        self.logger = logger
        self.db = Database(effects)
        self.measurement = Measurements(logger, effects)
        self._notices = notices or Notices(logger)
        self.prediction = Predictions(identity, effects, self._notices, self._request_or_none)
        self._identity = identity
        self._effects = effects
        self._values: dict[str, Any] = {}

    def path(self, relative: str) -> str:
        """Returns the absolute path of a file of the package."""
        return os.path.join(self._identity.base_path, relative)

    def set(self, key: str, value: Any) -> None:
        """Keeps a value for every later call of `handler` in this process."""
        self._values[key] = value

    def get(self, key: str) -> Any:
        """Returns the value that `set` kept.

        Raises `AttributeError` if there is none.
        """
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(self._nothing(key)) from None

    async def early_reply(self, response: Message | Mapping[str, Any]) -> None:
        """Answers the client now; the workflow continues with the return value of `handler`.

        Raises `EarlyReplyError` in `init`, and if the client already has an answer.
        """
        delivery = self._delivery("early_reply")
        if delivery.replied:
            raise EarlyReplyError(REPLIED_BEFORE)
        self._effects.reply(response)
        delivery.replied = True

    async def send(self, message: Message | Mapping[str, Any]) -> None:
        """Sends a message of the answer now; the answer goes on.

        The RPC must answer with a stream: `returns (stream …)` in the `.proto`. Waits while the
        client is slow. Messages after an early reply are dropped.

        A handler that is a generator sends each message that it yields.
        """
        if self._delivery("send").outflow is None:
            raise Error(_ONE_ANSWER)
        if not await self._effects.send(message):
            self._delivery("send")

    def early_exit(self) -> None:
        """Makes the return value of this `handler` the final answer; later nodes do not run."""
        self._delivery("early_exit").early_exit = True

    @property
    def request_id(self) -> str:
        """The id of the request, as in logs, measurements and the list of requests.

        Raises `Error` in `init`.
        """
        return self._request("request_id").request.decode(errors="replace")

    @property
    def deadline(self) -> float | None:
        """The seconds left until the client stops waiting; 0.0 if none are left.

        It is `None` if no client waits: in `init`, after an early reply, and if `krt` does the work
        again after an engine died.
        """
        delivery = self._current()
        return None if delivery is None else delivery.deadline()

    @property
    def metadata(self) -> Metadata:
        """What the client sent as gRPC metadata or HTTP headers, of the names that krt.yml lists.

        It is empty in `init`.
        """
        delivery = self._current()
        return Metadata({} if delivery is None else delivery.client())

    def trace_headers(self) -> dict[str, str]:
        """Returns the headers that continue the request's trace in another service.

        They are `traceparent` and, if present, `tracestate` (W3C trace context). The result is
        empty in `init` and for a request without a trace.
        """
        delivery = self._current()
        return {} if delivery is None else delivery.trace_headers()

    # Names from older runners.

    ERR_MISSING_VALUES = ERR_MISSING_VALUES
    """Old name of `prediction.ERR_MISSING_VALUES`."""
    ERR_NEW_LABELS = ERR_NEW_LABELS
    """Old name of `prediction.ERR_NEW_LABELS`."""

    @property
    def metrics(self) -> Predictions:
        """Old name of `prediction`."""
        self._notices.warn("ctx.metrics", "ctx.prediction")
        return self.prediction

    async def reply(self, response: Message | Mapping[str, Any]) -> None:
        """Old name of `early_reply`."""
        self._notices.warn("ctx.reply", "ctx.early_reply")
        await self.early_reply(response)

    def set_early_exit(self) -> None:
        """Old name of `early_exit`."""
        self._notices.warn("ctx.set_early_exit", "ctx.early_exit")
        self.early_exit()

    def get_path(self, relative_path: str) -> str:
        """Old name of `path`."""
        self._notices.warn("ctx.get_path", "ctx.path")
        return self.path(relative_path)

    def set_value(self, key: str, value: Any) -> None:
        """Old name of `set`."""
        self._notices.warn("ctx.set_value", "ctx.set")
        self.set(key, value)

    def get_value(self, key: str) -> Any:
        """Old name of `get`."""
        self._notices.warn("ctx.get_value", "ctx.get")
        return self.get(key)

    async def save_metric(
        self,
        predicted_value: str = "",
        true_value: str = "",
        date: datetime | str = "",
        error: str = "",
    ) -> None:
        """Old name of `prediction.save`."""
        self._notices.warn("ctx.save_metric", "ctx.prediction.save")
        utcdate = None if date == "" else date
        await self.prediction.save(predicted_value, true_value, None, utcdate, error)

    async def save_data(self, coll: str, data: Mapping[str, Any]) -> None:
        """Old name of `db.save`."""
        self._notices.warn("ctx.save_data", "ctx.db.save")
        await self.db.save(coll, data)

    async def get_data(self, coll: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Old name of `db.find`."""
        self._notices.warn("ctx.get_data", "ctx.db.find")
        return await self.db.find(coll, query)

    def _current(self) -> Delivery | None:
        return current.get()

    def _request_or_none(self) -> str | None:
        """Returns the id of the request, `None` in `init` and for a whole batch."""
        delivery = self._current()
        return None if delivery is None else delivery.request.decode(errors="replace")

    def _request(self, name: str) -> Delivery:
        """Returns the delivery of the running code, even after its handler has returned."""
        delivery = self._current()
        if delivery is None:
            raise Error(f"[ctx.{name}] there is no request in `init`; hint: use it in `handler`")
        return delivery

    def _delivery(self, method: str) -> Delivery:
        delivery = self._current()
        if delivery is not None and delivery.open:
            return delivery
        reason = "in `init`" if delivery is None else "after the handler has returned"
        text = f"[ctx.{method}] there is no request {reason}; hint: call it in `handler`"
        raise EarlyReplyError(text) if method == "early_reply" else Error(text)

    def _nothing(self, key: str) -> str:
        kept = ", ".join(f"`{name}`" for name in self._values) or "nothing"
        return f"no value is kept for `{key}`; kept: {kept}; hint: call ctx.set({key!r}, …) in init"


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

    async def send(self, message: Any) -> bool:
        """Sends a message of the answer. Returns false if the handler has returned meanwhile."""


class Notices:
    """Warns once about each old name."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._given: set[str] = set()

    def warn(self, old: str, new: str) -> None:
        """Warns about an old name and names its replacement."""
        if old not in self._given:
            self._given.add(old)
            self._logger.warning("`%s` is an old name; hint: use `%s`", old, new)
