"""The numbers and layouts of the node protocol's frames.

`protocol/README.md` defines their meaning. This module does no I/O.
"""

from __future__ import annotations

import json
from struct import Struct
from typing import Any, Callable, NamedTuple, Tuple, Union

PROTOCOL = 1
"""The version of the node protocol that this package speaks."""

# Sent by the engine.
HELLO, DELIVER, CANCEL, DONE, DOCUMENT, FAILED, STOP = range(1, 8)
# Sent by the worker.
READY, BROKEN, RESULT, EARLY_REPLY, LOG, MEASUREMENT, SAVE, FIND = range(64, 72)

# The status of a RESULT.
ANSWER, NONE, ERROR, CANCELLED, TOO_LARGE = range(5)
# The level of a LOG.
DEBUG, INFO, WARN, FAULT, PLAIN = range(5)

REPLIED = 0b1
"""The flag of a DELIVER whose request already has a reply."""

MAX_ID = 0xFFFF_FFFF
MAX_LOG = 256 * 1024
"""The maximum `size` of a LOG; longer records are cut."""
MAX_OTHER = 1024 * 1024
"""The maximum `size` of a FIND or a MEASUREMENT."""

SIZE = 4
"""The bytes of the field `size`, which `size` does not include."""
FROM_ENGINE = range(HELLO, STOP + 1)
HEADER = Struct("<IBI")
"""The start of each frame: `size`, `kind`, `id`."""
_DELIVER = Struct("<BHBH")
_RESULT = Struct("<IBIBBQQ")
_LOG = Struct("<IBIBQ")
_SIZE_OF_MESSAGE = Struct("<Q")

OVERHEAD = 5
"""The part of `size` before the body of a frame."""
CALL_OVERHEAD = OVERHEAD + len('{"delivery":4294967295,}')
"""The part of `size` outside the fields of a SAVE, a FIND or a MEASUREMENT."""
RESULT_OVERHEAD = _RESULT.size - SIZE
"""The part of `size` before the last part of a RESULT."""
LOG_OVERHEAD = _LOG.size - SIZE
"""The part of `size` before the text of a LOG."""

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Writes the JSON of the protocol. One shared encoder: `json.dumps` would make one for each call.
"""

_header = HEADER.pack
_deliver = _DELIVER.unpack_from
_result = _RESULT.pack
_log = _LOG.pack


class ProtocolError(Exception):
    """The engine violated the protocol."""


Body = Union[bytes, memoryview]
"""The body of a frame. A large body is a view of the read buffer, not a copy."""
Frame = Tuple[int, int, Body]
"""A frame from the engine: kind, id, body. A plain tuple, since each message makes one."""


class Hello(NamedTuple):
    """The engine's first frame: the node to run, and its limits.

    Fields that this worker does not use are left out.
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
        """Parses the body; ignores unknown fields."""
        try:
            fields = json.loads(body)
            fields = {**cls._field_defaults, **fields}
            return cls(**{name: _NUMBERS.get(name, str)(fields[name]) for name in cls._fields})
        except KeyError as missing:
            raise ProtocolError(f"HELLO has no field {missing}") from None
        except (ValueError, TypeError) as error:
            raise ProtocolError(f"HELLO does not parse: {error}") from None


_NUMBERS: dict[str, Callable[[Any], Any]] = dict.fromkeys(
    ("protocol", "concurrency", "max_frame", "max_message"), int
)


def parse_deliver(body: Body) -> tuple[bool, bytes, bytes]:
    """Splits the body of a DELIVER: whether the request already has a reply, metadata, payload.

    Skips the workflow and the request id, which this worker does not need.
    """
    flags, _, request_size, metadata_size = _deliver(body)
    middle = _DELIVER.size + request_size
    start = middle + metadata_size
    if start > len(body):
        raise ProtocolError("its metadata has no end")
    return flags & REPLIED != 0, bytes(body[middle:start]), bytes(body[start:])


def frame(kind: int, number: int, body: bytes) -> bytes:
    """Builds a frame whose body has no layout of its own."""
    return _header(OVERHEAD + len(body), kind, number) + body


def result(
    number: int, status: int, early_exit: bool, start: int, end: int, last: bytes, body: bytes
) -> bytes:
    """Builds a RESULT without its end, `body`, which may be large and is not copied."""
    size = RESULT_OVERHEAD + len(last) + len(body)
    return _result(size, RESULT, number, status, early_exit, start, end) + last


def too_large(size: int) -> bytes:
    """Builds the last part of a RESULT for a message above the limit."""
    return _SIZE_OF_MESSAGE.pack(size)


def log(number: int, level: int, time: int, text: bytes) -> bytes:
    """Builds a LOG."""
    return _log(LOG_OVERHEAD + len(text), LOG, number, level, time) + text


def json_body(value: dict[str, Any]) -> bytes:
    """Builds a JSON body."""
    return to_json(value).encode()
