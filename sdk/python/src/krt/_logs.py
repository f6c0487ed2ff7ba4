"""Turns the `logging` records of user code into records of the node."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import _frames

if TYPE_CHECKING:
    from ._link import Link

_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}


class Records(logging.Handler):
    """Sends log records."""

    def __init__(self, link: Link, level: int) -> None:
        super().__init__(level)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record, with its traceback."""
        try:
            text = self.format(record).encode(errors="backslashreplace")
            self._link.log(rank(record.levelno), int(record.created * 1e9), text)
        except Exception:
            self.handleError(record)


class ContextLogger(logging.Logger):
    """The logger of the context, independent of the `logging` configuration of user code.

    `logging.getLogger` does not know it, so `dictConfig`, `fileConfig` and the like neither disable
    it nor change its handlers, and `logging.disable` does not silence it. Its own `setLevel`,
    `addHandler` and `disabled` work.
    """

    def __init__(self, name: str, records: logging.Handler) -> None:
        super().__init__(name)
        self.propagate = False
        self.addHandler(records)
        self._records = records
        self._children: dict[str, ContextLogger] = {}

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # `logging` names it
        """Whether a record of this level is logged."""
        return not self.disabled and level >= self.getEffectiveLevel()

    def getChild(self, suffix: str) -> ContextLogger:  # noqa: N802  # `logging` names it
        """Returns a logger below this one, with the same destination."""
        child = self._children.get(suffix)
        if child is None:
            child = self._children[suffix] = ContextLogger(f"{self.name}.{suffix}", self._records)
            child.removeHandler(self._records)
            child.parent, child.propagate = self, True
        return child

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802  # `logging` names it
        """Passes a record to the handlers, always including the one that sends it."""
        top: logging.Logger = self
        while isinstance(top.parent, ContextLogger):
            top = top.parent
        if self._records not in top.handlers:
            top.addHandler(self._records)
        super().callHandlers(record)

    def __reduce__(self) -> tuple[Any, ...]:
        return logging.getLogger, (self.name,)


def rank(level: int) -> int:
    """Converts a level of `logging` to a level of the protocol."""
    if level >= logging.ERROR:
        return _frames.FAULT
    if level >= logging.WARNING:
        return _frames.WARN
    return _frames.INFO if level >= logging.INFO else _frames.DEBUG


def install_logging(link: Link, node: str, level_name: str) -> logging.Logger:
    """Sends the records of every logger to the engine, and returns the context's logger."""
    level = _LEVELS.get(level_name, logging.INFO)
    records = Records(link, level)
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(records)
    # A separate handler: changes of user code to the root's handlers do not affect it.
    logger = ContextLogger(f"krt.{node}", Records(link, level))
    logger.setLevel(level)
    return logger
