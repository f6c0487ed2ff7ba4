"""What handlers get and return: messages, or plain data for a node with `payload: json`.

The engine knows the message types; in a node with plain data every message is JSON. Where a handler
expects the other form, its error gets a hint.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ._documents import plain_of
from ._protocol import ProtocolError
from .errors import AnswerError, AnswerTooLargeError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from ._protocol import Hello

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
        return begin + (_ONE_BYTE[size] if size < 0x80 else _varint(size)), body

    def _learn(self, message: Any) -> bytes:
        name = _full_name(message)
        url = (_PREFIX + name).encode()
        begin = b"" if name == _ANY else _TYPE_URL + _varint(len(url)) + url + _VALUE
        self._begins[message.__class__] = begin
        return begin


def _full_name(message: Any) -> str:
    from google.protobuf.message import Message

    if isinstance(message, Message):
        return str(message.DESCRIPTOR.full_name)
    kind = type(message)
    raise AnswerError(
        f"a protobuf message was expected, not {message!r:.80} of type `{kind.__module__}."
        f"{kind.__qualname__}`; hint: {_hint_for(message)}"
    )


def _hint_for(value: object) -> str:
    if isinstance(value, Mapping):
        return "give the node `payload: json` in krt.yml to work with plain data"
    return "build a message of the `.proto` and return that"


def _varint(number: int) -> bytes:
    """Returns the protobuf _varint of a non-negative number."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_ONE_BYTE = [bytes((size,)) for size in range(0x80)]


_DEEPEST = 100


def _special(value: Any) -> Any:
    plain = plain_of(value)
    if plain is value:
        raise TypeError
    return plain


_write = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_special
).encode


class PlainPacker:
    """Packs the plain data of a handler: dicts, lists, strings, numbers, booleans, `None`.

    numpy values count as Python values, tuples as lists.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def pack(self, answer: Any) -> tuple[bytes, bytes]:
        """Returns empty bytes and the JSON, to match the two parts of `Packer.pack`."""
        try:
            body = _write(answer).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise AnswerError(_misfit(answer, "", 0) or f"the answer is no JSON: {error}") from None
        if len(body) > self._limit:
            raise AnswerTooLargeError("JSON text", len(body), self._limit)
        return b"", body


def _misfit(value: Any, path: str, depth: int) -> str | None:
    """Describes the first value that JSON cannot hold, if any."""
    value = plain_of(value)
    where = f"field `{path}`" if path else "the answer"
    if depth > _DEEPEST:
        return f"{where} is nested more than {_DEEPEST} levels deep"
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else f"{key}"
            found = _misfit_of_key(key, where) or _misfit(item, inner, depth + 1)
            if found:
                return found
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _misfit(item, f"{path}[{index}]", depth + 1)
            if found:
                return found
    elif isinstance(value, float):
        return None if math.isfinite(value) else f"{where} is {value!r}, which JSON does not have"
    elif not (value is None or isinstance(value, (str, int))):
        kind = type(value)
        return (
            f"{where} is a `{kind.__module__}.{kind.__qualname__}`, not plain data{_hint_of(value)}"
        )
    return None


def _misfit_of_key(key: Any, where: str) -> str | None:
    if isinstance(key, str):
        return None
    return f"a key of {where} is {key!r:.40}, a `{type(key).__name__}`; hint: make it a text"


def _hint_of(value: Any) -> str:
    if hasattr(value, "SerializeToString"):
        return "; hint: this node has `payload: json` in krt.yml, return a dict"
    if isinstance(value, (set, frozenset)):
        return "; hint: make it a list"
    return "; hint: return its fields, or its text"


Explain = Callable[[BaseException], str]
"""Returns a hint for an exception of a handler, or an empty string."""

_METHODS = frozenset(("copy", "get", "items", "keys", "pop", "setdefault", "update", "values"))
_WORDS = r"(subscriptable|iterable|container|mapping|item\b|JSON|has no\b)"
_ANY_AS_A_DICT = re.compile(rf"\bAny\b.*{_WORDS}|{_WORDS}.*\bAny\b")


def explain_messages(node: str) -> Explain:
    """Explains errors for a node whose handler gets a `google.protobuf.Any`."""

    def explain(error: BaseException) -> str:
        if not _is_about_any(error):
            return ""
        return (
            "hint: `data` is a `google.protobuf.Any`; to work with plain data, add `payload: json` "
            f"to node `{node}` in krt.yml, else unpack a message from it: `data.Unpack(request)`"
        )

    return explain


def explain_plain_data(node: str) -> Explain:
    """Explains errors for a node whose handler gets a dict."""

    def explain(error: BaseException) -> str:
        if not (isinstance(error, AttributeError) and "'dict' object" in str(error)):
            return ""
        if not re.search(r"'(Unpack|Is|TypeName|type_url)'", str(error)):
            return ""
        return (
            f"hint: `data` is a dict, since node `{node}` has `payload: json` in krt.yml; "
            "remove that line to get a `google.protobuf.Any`"
        )

    return explain


def _is_about_any(error: BaseException) -> bool:
    """Whether the handler used an `Any` as a dict, or as the message in it."""
    if isinstance(error, AttributeError):
        return _is_any(getattr(error, "obj", None)) or str(error) in _METHODS or _names_any(error)
    return isinstance(error, (TypeError, ValueError)) and _names_any(error)


def _names_any(error: BaseException) -> bool:
    return _ANY_AS_A_DICT.search(str(error)) is not None


def _is_any(value: object) -> bool:
    descriptor = getattr(type(value), "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", None) == "google.protobuf.Any"


PROTOBUF, JSON = "protobuf", "json"
_LONGEST_BEGIN = 1024
"""Bytes of a frame that are reserved for the fields around a message."""


class Form(NamedTuple):
    """Reads a handler's data, writes its answer in two parts, and explains its errors."""

    read: Callable[[bytes], Any]
    pack: Callable[[Any], tuple[bytes, bytes]]
    explain: Explain


def form_of(hello: Hello) -> Form:
    """Returns the form of the node, with the limits of the engine."""
    limit = min(hello.max_message, hello.max_frame - _LONGEST_BEGIN)
    if hello.payload == JSON:
        return Form(json.loads, PlainPacker(limit).pack, explain_plain_data(hello.node))
    if hello.payload != PROTOBUF:
        raise ProtocolError(
            f"HELLO asks for the payload `{hello.payload}`, which this worker does not know"
        )
    from google.protobuf.any_pb2 import Any as AnyMessage

    return Form(AnyMessage.FromString, Packer(limit).pack, explain_messages(hello.node))
