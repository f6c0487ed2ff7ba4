"""The data of handlers: messages, or plain data for a node with `payload: json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import _misuse
from ._answers import Packer
from ._frames import ProtocolError

if TYPE_CHECKING:
    from ._frames import Hello
    from ._misuse import Explain

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
        from ._plain import PlainPacker

        return Form(json.loads, PlainPacker(limit).pack, _misuse.of_plain_data(hello.node))
    if hello.payload != PROTOBUF:
        raise ProtocolError(
            f"HELLO asks for the payload `{hello.payload}`, which this worker does not know"
        )
    from google.protobuf.any_pb2 import Any as AnyMessage

    return Form(AnyMessage.FromString, Packer(limit).pack, _misuse.of_messages(hello.node))
