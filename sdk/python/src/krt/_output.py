"""Takes what user code prints and logs to the engine, with the delivery that it belongs to."""

from __future__ import annotations

import io
import logging
import os
import sys
from time import time_ns
from typing import TYPE_CHECKING, Optional

from . import _frames
from ._delivery import Delivery, current

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._link import Link

_LONGEST = 64 * 1024
"""How many bytes without a line's end are gathered before they go out as a line."""

_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}


Begun = dict[tuple[int, Optional[Delivery]], bytes]
"""The lines that have not ended, by the descriptor and the delivery they were written for."""


class Lines(io.RawIOBase):
    """Gathers what is written to lines; each delivery has its own that has begun."""

    def __init__(self, link: Link, descriptor: int, name: str, begun: Begun) -> None:
        self.name = name
        self._link = link
        self._descriptor = descriptor
        self._begun = begun

    def fileno(self) -> int:
        """The real descriptor, for what writes past Python."""
        return self._descriptor

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Buffer) -> int:
        """Sends the lines that `data` completes."""
        data = bytes(data)
        if self._link.gone:
            return os.write(self._descriptor, data)
        line = (self._descriptor, current.get())
        text = self._begun.pop(line, b"") + data
        *lines, rest = text.split(b"\n")
        for whole in lines:
            self.send(whole)
        if len(rest) > _LONGEST:
            self.send(rest)
        elif rest:
            self._begun[line] = rest
        return len(data)

    def send(self, line: bytes) -> None:
        """Sends one line."""
        # A progress bar returns to the line's start: what a terminal would show is its last state.
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._link.log(_frames.PLAIN, time_ns(), shown)


class Streams:
    """`sys.stdout` and `sys.stderr` of user code."""

    def __init__(self, link: Link) -> None:
        self.begun: Begun = {}
        """The lines that have not ended, if there are any."""
        self._lines = {
            descriptor: Lines(link, descriptor, name, self.begun)
            for descriptor, name in ((1, "<stdout>"), (2, "<stderr>"))
        }

    def install(self) -> None:
        """Puts them in the place of the real ones."""
        sys.stdout.flush()
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(
                lines,
                encoding="utf-8",
                errors="backslashreplace",
                newline="",
                write_through=True,
            )
            for lines in self._lines.values()
        )

    def finish(self, delivery: Delivery | None) -> None:
        """Sends the lines that a delivery has begun and will not end."""
        for descriptor, lines in self._lines.items():
            rest = self.begun.pop((descriptor, delivery), None)
            if rest is not None:
                lines.send(rest)


class Records(logging.Handler):
    """Sends log records."""

    def __init__(self, link: Link, level: int) -> None:
        super().__init__(level)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one, with its traceback."""
        try:
            text = self.format(record).encode(errors="backslashreplace")
            self._link.log(rank(record.levelno), int(record.created * 1e9), text)
        except Exception:
            self.handleError(record)


def rank(level: int) -> int:
    """The protocol's level of one of `logging`'s."""
    if level >= logging.ERROR:
        return _frames.FAULT
    if level >= logging.WARNING:
        return _frames.WARN
    return _frames.INFO if level >= logging.INFO else _frames.DEBUG


def install_logging(link: Link, node: str, level_name: str) -> logging.Logger:
    """Sends the records of every logger to the engine, and returns the one of the context.

    That one has a handler of its own, so that `logging.basicConfig(force=True)` in user code
    neither silences nor doubles it.
    """
    level = _LEVELS.get(level_name, logging.INFO)
    records = Records(link, level)
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(records)
    logger = logging.getLogger(f"krt.{node}")
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(records)
    return logger
