"""The node protocol's frames: numbers, layouts, and how a stream is cut into them.

`protocol/README.md` says what each frame means. Nothing here does I/O.
"""

from __future__ import annotations

import json
from struct import Struct
from typing import Any, Callable, NamedTuple

PROTOCOL = 1
"""The version of the node protocol that this package speaks."""

# From the engine.
HELLO, DELIVER, CANCEL, DONE, DOCUMENT, FAILED, STOP = range(1, 8)
# From the host.
READY, BROKEN, RESULT, EARLY_REPLY, LOG, MEASUREMENT, SAVE, FIND = range(64, 72)

# The status of a RESULT.
ANSWER, NONE, ERROR, CANCELLED, TOO_LARGE = range(5)
# The level of a LOG.
DEBUG, INFO, WARN, FAULT, PLAIN = range(5)

REPLIED = 0b1
"""The flag of a DELIVER whose request was replied to before."""

MAX_ID = 0xFFFF_FFFF
MAX_LOG = 256 * 1024
"""The largest `size` of a LOG: longer records are cut."""
MAX_OTHER = 1024 * 1024
"""The largest `size` of a FIND or a MEASUREMENT."""

_SIZE = 4
_SMALLEST = 5
_FROM_ENGINE = range(HELLO, STOP + 1)
_HEADER = Struct("<IBI")
_DELIVER = Struct("<BHBH")
_RESULT = Struct("<IBIBBQQ")
_LOG = Struct("<IBIBQ")
_SIZE_OF_MESSAGE = Struct("<Q")

OVERHEAD = _SMALLEST
"""What `size` counts of a frame before its body."""
CALL_OVERHEAD = OVERHEAD + len('{"delivery":4294967295,}')
"""What `size` counts of a SAVE, a FIND or a MEASUREMENT beside its fields."""
RESULT_OVERHEAD = _RESULT.size - _SIZE
"""What `size` counts of a RESULT before its last part."""
LOG_OVERHEAD = _LOG.size - _SIZE
"""What `size` counts of a LOG before its text."""

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Writes JSON as the protocol has it. Made once: `json.dumps` makes an encoder for each call."""

_header = _HEADER.pack
_deliver = _DELIVER.unpack_from
_result = _RESULT.pack
_log = _LOG.pack


class Breach(Exception):
    """The engine sent what the protocol does not allow."""


Frame = tuple[int, int, bytes]
"""One frame of the engine's: its kind, its id, its body. A plain tuple, since one is made for
every message."""


class Cutter:
    """Cuts a stream of bytes into frames.

    A frame that comes in many pieces is joined once, however many they are.
    """

    def __init__(self) -> None:
        self.max_frame = MAX_ID
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = _HEADER.size

    @property
    def missing(self) -> int:
        """How many bytes the next frame still lacks at least."""
        return self._wanted - self._held

    def cut(self, data: bytes) -> list[Frame]:
        """Takes what came and returns the frames that it completes."""
        if self._held:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return []
            data = b"".join(self._pieces)
        frames = []
        position, length = 0, len(data)
        header = _HEADER.unpack_from
        wanted = _HEADER.size
        while length - position >= _HEADER.size:
            size, kind, number = header(data, position)
            if size < _SMALLEST or size > self.max_frame or kind not in _FROM_ENGINE:
                raise Breach(self._describe(size, kind))
            end = position + _SIZE + size
            if end > length:
                wanted = _SIZE + size
                break
            frames.append((kind, number, data[position + _HEADER.size : end]))
            position = end
        self._keep(data[position:] if position else data, wanted)
        return frames

    def _keep(self, rest: bytes, wanted: int) -> None:
        self._pieces = [rest] if rest else []
        self._held = len(rest)
        self._wanted = wanted

    def _describe(self, size: int, kind: int) -> str:
        if size < _SMALLEST:
            return f"a frame says that its size is {size}, less than {_SMALLEST}"
        if size > self.max_frame:
            return f"a frame has {size} bytes, more than the limit of {self.max_frame}"
        return f"no frame of the engine's has the kind {kind}"


class Hello(NamedTuple):
    """The engine's first frame: what this host is to run, and within which limits.

    It says more, which this host has no use for.
    """

    protocol: int
    node: str
    version: str
    version_id: str
    base_path: str
    handler_path: str
    concurrency: int
    max_frame: int
    max_message: int
    log_level: str
    descriptors: str

    @classmethod
    def parse(cls, body: bytes) -> Hello:
        """Reads the body; fields that are not known are passed over."""
        try:
            fields = json.loads(body)
            return cls(**{name: _NUMBERS.get(name, str)(fields[name]) for name in cls._fields})
        except KeyError as missing:
            raise Breach(f"HELLO has no field {missing}") from None
        except (ValueError, TypeError) as error:
            raise Breach(f"HELLO does not parse: {error}") from None


_NUMBERS: dict[str, Callable[[Any], Any]] = dict.fromkeys(
    ("protocol", "concurrency", "max_frame", "max_message"), int
)


def parse_deliver(body: bytes) -> tuple[bool, bytes]:
    """Takes the body of a DELIVER apart: whether the request was replied to, and the payload.

    Its workflow, request id and metadata are passed over: this host needs nothing of them.
    """
    flags, _, request_size, metadata_size = _deliver(body)
    start = _DELIVER.size + request_size + metadata_size
    if start > len(body):
        raise Breach("its metadata has no end")
    return flags & REPLIED != 0, body[start:]


def frame(kind: int, number: int, body: bytes) -> bytes:
    """One frame whose body has no layout of its own."""
    return _header(_SMALLEST + len(body), kind, number) + body


def result(
    number: int, status: int, early_exit: bool, start: int, end: int, last: bytes, body: bytes
) -> bytes:
    """A RESULT; its last part is `last` and `body` in turn, so that an answer is joined once."""
    size = RESULT_OVERHEAD + len(last) + len(body)
    return _result(size, RESULT, number, status, early_exit, start, end) + last + body


def too_large(size: int) -> bytes:
    """The last part of a RESULT that tells of a message above the limit."""
    return _SIZE_OF_MESSAGE.pack(size)


def log(number: int, level: int, time: int, text: bytes) -> bytes:
    """A LOG."""
    return _log(LOG_OVERHEAD + len(text), LOG, number, level, time) + text


def json_body(value: dict[str, Any]) -> bytes:
    """A JSON body."""
    return to_json(value).encode()
