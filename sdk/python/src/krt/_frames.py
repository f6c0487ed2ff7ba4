"""The node protocol's frames: numbers and layouts.

`protocol/README.md` says what each frame means. Nothing here does I/O.
"""

from __future__ import annotations

import json
from struct import Struct
from typing import Any, Callable, NamedTuple, Union

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

SIZE = 4
"""Bytes of the field `size`, which it does not count."""
FROM_ENGINE = range(HELLO, STOP + 1)
HEADER = Struct("<IBI")
"""What each frame begins with: `size`, `kind`, `id`."""
_DELIVER = Struct("<BHBH")
_RESULT = Struct("<IBIBBQQ")
_LOG = Struct("<IBIBQ")
_SIZE_OF_MESSAGE = Struct("<Q")

OVERHEAD = 5
"""What `size` counts of a frame before its body."""
CALL_OVERHEAD = OVERHEAD + len('{"delivery":4294967295,}')
"""What `size` counts of a SAVE, a FIND or a MEASUREMENT beside its fields."""
RESULT_OVERHEAD = _RESULT.size - SIZE
"""What `size` counts of a RESULT before its last part."""
LOG_OVERHEAD = _LOG.size - SIZE
"""What `size` counts of a LOG before its text."""

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Writes JSON as the protocol has it. Made once: `json.dumps` makes an encoder for each call."""

_header = HEADER.pack
_deliver = _DELIVER.unpack_from
_result = _RESULT.pack
_log = _LOG.pack


class Breach(Exception):
    """The engine sent what the protocol does not allow."""


Body = Union[bytes, memoryview]
"""The body of a frame. A large one is not copied out of what it was read into."""
Frame = tuple[int, int, Body]
"""One frame of the engine's: its kind, its id, its body. A plain tuple, since one is made for
every message."""


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
    payload: str = "protobuf"

    @classmethod
    def parse(cls, body: bytes) -> Hello:
        """Reads the body; fields that are not known are passed over."""
        try:
            fields = json.loads(body)
            fields = {**cls._field_defaults, **fields}
            return cls(**{name: _NUMBERS.get(name, str)(fields[name]) for name in cls._fields})
        except KeyError as missing:
            raise Breach(f"HELLO has no field {missing}") from None
        except (ValueError, TypeError) as error:
            raise Breach(f"HELLO does not parse: {error}") from None


_NUMBERS: dict[str, Callable[[Any], Any]] = dict.fromkeys(
    ("protocol", "concurrency", "max_frame", "max_message"), int
)


def parse_deliver(body: Body) -> tuple[bool, bytes, bytes]:
    """Takes the body of a DELIVER apart: whether the request was replied to, metadata, payload.

    Its workflow and request id are passed over: this host needs nothing of them.
    """
    flags, _, request_size, metadata_size = _deliver(body)
    middle = _DELIVER.size + request_size
    start = middle + metadata_size
    if start > len(body):
        raise Breach("its metadata has no end")
    return flags & REPLIED != 0, bytes(body[middle:start]), bytes(body[start:])


def frame(kind: int, number: int, body: bytes) -> bytes:
    """One frame whose body has no layout of its own."""
    return _header(OVERHEAD + len(body), kind, number) + body


def result(
    number: int, status: int, early_exit: bool, start: int, end: int, last: bytes, body: bytes
) -> bytes:
    """A RESULT but for its end, `body`, which is not copied: it may be large."""
    size = RESULT_OVERHEAD + len(last) + len(body)
    return _result(size, RESULT, number, status, early_exit, start, end) + last


def too_large(size: int) -> bytes:
    """The last part of a RESULT that tells of a message above the limit."""
    return _SIZE_OF_MESSAGE.pack(size)


def log(number: int, level: int, time: int, text: bytes) -> bytes:
    """A LOG."""
    return _log(LOG_OVERHEAD + len(text), LOG, number, level, time) + text


def json_body(value: dict[str, Any]) -> bytes:
    """A JSON body."""
    return to_json(value).encode()
