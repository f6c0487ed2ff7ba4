"""Encodes the return values of handlers as `google.protobuf.Any`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import AnswerError, AnswerTooLargeError

if TYPE_CHECKING:
    from google.protobuf.message import Message

_TYPE_URL = b"\x0a"
_VALUE = b"\x12"
_PREFIX = "type.googleapis.com/"
_ANY = "google.protobuf.Any"


class Packer:
    """Packs messages and caches the prefix of the `Any` of each class.

    An `Any` passes through unchanged, so a node that only forwards a message has nothing to wrap.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begins: dict[type[Message], bytes] = {}

    def pack(self, message: Any) -> tuple[bytes, bytes]:
        """Returns the bytes before the message, and the bytes of the message."""
        begin = self._begins.get(message.__class__)
        if begin is None:
            begin = self._learn(message)
        body: bytes = message.SerializeToString()
        size = len(body)
        if size > self._limit:
            raise AnswerTooLargeError(message.DESCRIPTOR.full_name, size, self._limit)
        if not begin:
            return b"", body
        return begin + (_ONE_BYTE[size] if size < 0x80 else varint(size)), body

    def _learn(self, message: Any) -> bytes:
        name = _full_name(message)
        url = (_PREFIX + name).encode()
        begin = b"" if name == _ANY else _TYPE_URL + varint(len(url)) + url + _VALUE
        self._begins[message.__class__] = begin
        return begin


def _full_name(message: Any) -> str:
    from google.protobuf.message import Message

    if isinstance(message, Message):
        return str(message.DESCRIPTOR.full_name)
    kind = type(message)
    raise AnswerError(
        f"a protobuf message was expected, not {message!r:.80} of type `{kind.__module__}."
        f"{kind.__qualname__}`; hint: {_hint(message)}"
    )


def _hint(value: object) -> str:
    if isinstance(value, Mapping):
        return "give the node `payload: json` in krt.yml to work with plain data"
    return "build a message of the `.proto` and return that"


def varint(number: int) -> bytes:
    """Returns the protobuf varint of a non-negative number."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_ONE_BYTE = [bytes((size,)) for size in range(0x80)]
