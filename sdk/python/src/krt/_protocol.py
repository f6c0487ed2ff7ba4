"""The frames of the node protocol: their numbers and layouts, and reading them from the socket.

`protocol/README.md` defines their meaning.
"""

from __future__ import annotations

import json
from struct import Struct
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Tuple, Union

if TYPE_CHECKING:
    import socket

PROTOCOL = 1
"""The version of the node protocol that this package speaks."""

# Sent by the engine.
HELLO, DELIVER, CANCEL, DONE, DOCUMENT, FAILED, STOP, CREDIT = range(1, 9)
# Sent by the worker.
READY, BROKEN, RESULT, EARLY_REPLY, LOG, MEASUREMENT, SAVE, FIND, MESSAGE = range(64, 73)

# The status of a RESULT.
ANSWER, NONE, ERROR, CANCELLED, TOO_LARGE = range(5)
# The level of a LOG.
DEBUG, INFO, WARN, FAULT, PLAIN = range(5)

REPLIED = 0b1
"""The flag of a DELIVER whose request already has a reply."""
MORE = 0b10
"""The flag of a DELIVER after which another of the same batch follows."""
STREAM = 0b100
"""The flag of a DELIVER whose answer is a stream."""
WHOLE = 0b10
"""The flag of a RESULT whose batch failed as a whole. The flag 1 is an early exit."""

MAX_ID = 0xFFFF_FFFF
MAX_LOG = 256 * 1024
"""The maximum `size` of a LOG; longer records are cut."""
MAX_OTHER = 1024 * 1024
"""The maximum `size` of a FIND or a MEASUREMENT."""

SIZE = 4
"""The bytes of the field `size`, which `size` does not include."""
FROM_ENGINE = range(HELLO, CREDIT + 1)
HEADER = Struct("<IBI")
"""The start of each frame: `size`, `kind`, `id`."""
_DELIVER = Struct("<BHBH")
_RESULT = Struct("<IBIBBQQ")
_LOG = Struct("<IBIBQ")
_SIZE_OF_MESSAGE = Struct("<Q")
_CREDIT = Struct("<IQ")

OVERHEAD = 5
"""The part of `size` before the body of a frame."""
CALL_OVERHEAD = OVERHEAD + len('{"delivery":4294967295,}')
"""The part of `size` outside the fields of a SAVE, a FIND or a MEASUREMENT."""
RESULT_OVERHEAD = _RESULT.size - SIZE
"""The part of `size` before the last part of a RESULT."""
DELIVER_SIZE = _DELIVER.size
"""The bytes before the request's id in the body of a DELIVER."""
LOG_OVERHEAD = _LOG.size - SIZE
"""The part of `size` before the text of a LOG."""

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Writes the JSON of the protocol. One shared encoder: `json.dumps` would make one for each call.
"""

_HEADER_SIZE = HEADER.size
_header = HEADER.pack
_read_header = HEADER.unpack_from
read_deliver = _DELIVER.unpack_from
"""Reads the start of the body of a DELIVER: flags, the workflow, the size of the request's id and
that of the metadata, which follow."""
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
    batch: int = 0
    stream: tuple[int, int] | None = None

    @classmethod
    def parse(cls, body: bytes) -> Hello:
        """Parses the body; ignores unknown fields."""
        try:
            fields = json.loads(body)
            fields = {**cls._field_defaults, **fields}
            return cls(**{name: _READERS.get(name, str)(fields[name]) for name in cls._fields})
        except KeyError as missing:
            raise ProtocolError(f"HELLO has no field {missing}") from None
        except (ValueError, TypeError) as error:
            raise ProtocolError(f"HELLO does not parse: {error}") from None


def _largest_batch(value: Any) -> int:
    return int(value["max"]) if value else 0


def _window(value: Any) -> tuple[int, int] | None:
    return (int(value["messages"]), int(value["bytes"])) if value else None


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("protocol", "concurrency", "max_frame", "max_message"), int),
    "batch": _largest_batch,
    "stream": _window,
}


def has_more(body: Body) -> bool:
    """Whether another DELIVER of the same batch follows."""
    return bool(body) and body[0] & MORE != 0


def parse_deliver(body: Body) -> tuple[int, bytes, bytes, bytes]:
    """Splits the body of a DELIVER: flags, request id, metadata, payload.

    Skips the workflow, which this worker does not need.
    """
    flags, _, request_size, metadata_size = read_deliver(body)
    middle = DELIVER_SIZE + request_size
    start = middle + metadata_size
    if start > len(body):
        raise ProtocolError("its metadata has no end")
    request, metadata = bytes(body[DELIVER_SIZE:middle]), bytes(body[middle:start])
    return flags, request, metadata, bytes(body[start:])


def parse_credit(body: bytes) -> tuple[int, int]:
    """Splits the body of a CREDIT: messages, bytes."""
    if len(body) != _CREDIT.size:
        raise ProtocolError(f"a CREDIT has {len(body)} bytes, not {_CREDIT.size}")
    messages, size = _CREDIT.unpack(body)
    return messages, size


def frame(kind: int, number: int, body: bytes) -> bytes:
    """Builds a frame whose body has no layout of its own."""
    return _header(OVERHEAD + len(body), kind, number) + body


def result(
    number: int, status: int, flags: int, start: int, end: int, last: bytes, body: bytes
) -> bytes:
    """Builds a RESULT without its end, `body`, which may be large and is not copied."""
    size = RESULT_OVERHEAD + len(last) + len(body)
    return _result(size, RESULT, number, status, flags, start, end) + last


def too_large(size: int) -> bytes:
    """Builds the last part of a RESULT for a message above the limit."""
    return _SIZE_OF_MESSAGE.pack(size)


def log(number: int, level: int, time: int, text: bytes) -> bytes:
    """Builds a LOG."""
    return _log(LOG_OVERHEAD + len(text), LOG, number, level, time) + text


def json_body(value: dict[str, Any]) -> bytes:
    """Builds a JSON body."""
    return to_json(value).encode()


_LARGE = 64 * 1024
"""Above this many missing bytes, the rest of a frame is read into its final buffer."""


class Reader:
    """Reads a socket frame by frame.

    The rest of a large frame is read into its final buffer, which saves a copy.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.max_frame = MAX_ID
        self._socket = sock
        self._held = b""
        self._wanted = HEADER.size
        self._large: memoryview | None = None
        self._filled = 0

    @property
    def missing(self) -> int:
        """Returns the minimum number of bytes missing from the next frame."""
        return self._wanted - (self._filled if self._large else len(self._held))

    def read(self, most: int, flags: int = 0) -> list[Frame] | None:
        """Reads once, at most `most` bytes unless a frame lacks more.

        Returns the complete frames, or `None` at the end of the socket. Raises `ProtocolError` for
        an invalid frame, and the errors of the socket.
        """
        if self._large is not None:
            count = self._socket.recv_into(self._large[self._filled :], 0, flags)
            return self._fill(self._large, count) if count else None
        data = self._socket.recv(most, flags)
        if self._held:
            return self._cut(self._held + data) if data else None
        if len(data) >= _HEADER_SIZE:
            size, kind, number = _read_header(data)
            if size == len(data) - SIZE and size <= self.max_frame and kind in FROM_ENGINE:
                # As most often: one frame, and the whole of it.
                return [(kind, number, data[_HEADER_SIZE:])]
        return self._cut(data) if data else None

    def _cut(self, data: bytes) -> list[Frame]:
        """Returns the frames in the data, and holds what is left."""
        frames: list[Frame] = []
        position, length = 0, len(data)
        self._wanted = _HEADER_SIZE
        while length - position >= _HEADER_SIZE:
            size, kind, number = _read_header(data, position)
            if size < OVERHEAD or size > self.max_frame or kind not in FROM_ENGINE:
                raise ProtocolError(self._describe(size, kind))
            end = position + SIZE + size
            if end > length:
                self._wanted = SIZE + size
                break
            frames.append((kind, number, data[position + _HEADER_SIZE : end]))
            position = end
        self._held = data[position:] if position else data
        if position < length and self.missing > _LARGE:
            self._begin_large()
        return frames

    def _begin_large(self) -> None:
        self._large = memoryview(bytearray(self._wanted))
        self._filled = len(self._held)
        self._large[: self._filled] = self._held
        self._held = b""

    def _fill(self, large: memoryview, count: int) -> list[Frame]:
        self._filled += count
        if self._filled < self._wanted:
            return []
        self._large = None
        self._wanted = HEADER.size
        _, kind, number = HEADER.unpack_from(large)
        return [(kind, number, large[HEADER.size :])]

    def _describe(self, size: int, kind: int) -> str:
        if size < OVERHEAD:
            return f"a frame says that its size is {size}, less than {OVERHEAD}"
        if size > self.max_frame:
            return f"a frame has {size} bytes, more than the limit of {self.max_frame}"
        return f"no frame of the engine's has the kind {kind}"
