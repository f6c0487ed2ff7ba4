"""`Context`: what `init` and `handler` are given.

There is one for the life of the process. What belongs to one message is kept beside it, in
`_delivery.current`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ._contract import REPLIED_BEFORE
from ._database import Database
from ._delivery import Delivery, current
from ._measurement import Measurements
from ._prediction import Predictions
from .errors import EarlyReplyError, Error

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from ._effects import Effects


class Identity(NamedTuple):
    """Which node of which version runs, and where its package is."""

    node: str
    version: str
    version_id: str
    base_path: str


class Context:
    """Gives user code its logger, shared values, stores, and the early ways out of a workflow.

    Each message is handled with the same context, so a value that `set` keeps in `init` is there
    for every call of `handler`.
    """

    logger: logging.Logger
    """Writes to the node's log, with the request that is handled."""
    db: Database
    """Saves and finds documents."""
    measurement: Measurements
    """Saves points of time series."""
    prediction: Predictions
    """Saves predictions, for a classifier's figures."""

    def __init__(self, identity: Identity, logger: logging.Logger, effects: Effects) -> None:
        self.logger = logger
        self.db = Database(effects)
        self.measurement = Measurements(logger, effects)
        self.prediction = Predictions(identity, effects)
        self._base_path = identity.base_path
        self._effects = effects
        self._values: dict[str, Any] = {}

    def path(self, relative: str) -> str:
        """Returns the absolute path of a file of the package."""
        return os.path.join(self._base_path, relative)

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
        """Answers the client now; the workflow goes on with what `handler` returns.

        Raises `EarlyReplyError` if the client was answered before, and in `init`.
        """
        delivery = self._delivery("early_reply")
        if delivery.replied:
            raise EarlyReplyError(REPLIED_BEFORE)
        self._effects.reply(response)
        delivery.replied = True

    async def reply(self, response: Message | Mapping[str, Any]) -> None:
        """Does what `early_reply` does, under its old name."""
        await self.early_reply(response)

    def early_exit(self) -> None:
        """Makes what this `handler` returns the final answer; later nodes do not run."""
        self._delivery("early_exit").early_exit = True

    def set_early_exit(self) -> None:
        """Does what `early_exit` does, under its other name."""
        self.early_exit()

    def trace_headers(self) -> dict[str, str]:
        """Returns the headers with which another service goes on with the request's trace.

        They are `traceparent` and, where there is one, `tracestate` (W3C trace context). There are
        none in `init`, and for a request that belongs to no trace.
        """
        delivery = current.get()
        return {} if delivery is None else delivery.trace_headers()

    def _delivery(self, method: str) -> Delivery:
        delivery = current.get()
        if delivery is not None and delivery.open:
            return delivery
        reason = "in `init`" if delivery is None else "after the handler has returned"
        text = f"[ctx.{method}] there is no request {reason}; hint: call it in `handler`"
        raise EarlyReplyError(text) if method == "early_reply" else Error(text)

    def _nothing(self, key: str) -> str:
        kept = ", ".join(f"`{name}`" for name in self._values) or "nothing"
        return f"no value is kept for `{key}`; kept: {kept}; hint: call ctx.set({key!r}, …) in init"
