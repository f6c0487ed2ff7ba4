"""What user code prints, and its `logging` records, sent to the engine with their delivery."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from . import _protocol
from ._delivery import Delivery, current

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._connection import Link

_LONGEST = 64 * 1024
"""The longest line in bytes; longer output is split here."""

Begun = Dict[Tuple[int, Optional[Delivery]], bytes]
"""The unfinished lines, by descriptor and delivery."""

File = Tuple[int, int]
"""The file behind a descriptor: a device and a number on it."""


class Lines(io.RawIOBase):
    """Splits output into lines; each delivery has its own unfinished line.

    If user code points the descriptor at something else, such as a file, output goes there. Closing
    does nothing: a dropped wrapper would otherwise close the stream under the next one.
    """

    def __init__(self, link: Link, descriptor: int, begun: Begun, real: set[File]) -> None:
        self.name = "<stdout>" if descriptor == 1 else "<stderr>"
        self._link = link
        self._descriptor = descriptor
        self._begun = begun
        self._real = real

    @property
    def raw(self) -> Lines:
        """Returns itself: nothing below a text stream is buffered, as user code may expect."""
        return self

    def fileno(self) -> int:
        """Returns the real descriptor, for code that writes past Python."""
        return self._descriptor

    def writable(self) -> bool:
        """Always true."""
        return True

    def close(self) -> None:
        """Does nothing."""

    def write(self, data: Buffer) -> int:
        """Sends the lines that `data` completes."""
        data = bytes(data)
        if self._link.gone or self._is_redirected():
            return self._write_to_descriptor(data)
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
        # A progress bar returns to the start of the line; send its last state, as a terminal shows
        # it.
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._link.log(_protocol.PLAIN, time_ns(), shown)

    def _is_redirected(self) -> bool:
        file = _file_of(self._descriptor)
        return file is not None and file not in self._real

    def _write_to_descriptor(self, data: bytes) -> int:
        written = 0
        while written < len(data):
            written += os.write(self._descriptor, data[written:])
        return written


class Text(io.TextIOWrapper):
    """A text stream that ignores `close`: later output is kept, too."""

    def close(self) -> None:
        """Sends pending output."""
        # User code may have detached the buffer below.
        with suppress(ValueError):
            self.flush()


class Streams:
    """The `sys.stdout` and `sys.stderr` of user code."""

    def __init__(self, link: Link) -> None:
        self.begun: Begun = {}
        """The unfinished lines."""
        self._real: set[File] = set()
        """The files behind the descriptors, as the engine made them."""
        self.look()
        self._lines = {
            descriptor: Lines(link, descriptor, self.begun, self._real) for descriptor in (1, 2)
        }
        # They stay alive if user code replaces them and wraps the streams below.
        self._stdout, self._stderr = (
            Text(
                lines,
                encoding="utf-8",
                errors="backslashreplace",
                newline="",
                write_through=True,
            )
            for lines in self._lines.values()
        )

    def look(self) -> None:
        """Finds the files behind the descriptors: others in a worker that was forked."""
        self._real.clear()
        self._real.update(file for file in map(_file_of, (1, 2)) if file is not None)

    def install(self) -> None:
        """Replaces the real streams in every place that user code may read them from."""
        sys.stdout.flush()
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]

    def finish(self, delivery: Delivery | None) -> None:
        """Sends the unfinished lines of a delivery, including those on streams of user code."""
        if sys.stdout is not self._stdout or sys.stderr is not self._stderr:
            flush()
        if self.begun:
            for descriptor, lines in self._lines.items():
                rest = self.begun.pop((descriptor, delivery), None)
                if rest is not None:
                    lines.send(rest)


def flush() -> None:
    """Flushes both streams, even if user code replaced them."""
    for name in ("stdout", "stderr"):
        with suppress(Exception):
            getattr(sys, name).flush()


def _file_of(descriptor: int) -> File | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


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
        return _protocol.FAULT
    if level >= logging.WARNING:
        return _protocol.WARN
    return _protocol.INFO if level >= logging.INFO else _protocol.DEBUG


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
