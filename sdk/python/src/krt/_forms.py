"""What handlers get and return: messages, or plain data where the node has `payload: json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ._answers import Packer
from ._frames import Breach

if TYPE_CHECKING:
    from ._frames import Hello

PROTOBUF, JSON = "protobuf", "json"
_LONGEST_BEGIN = 1024
"""Bytes of a frame that are left for what stands around a message."""


class Form(NamedTuple):
    """How a handler's data is read, and its answer written, in two parts."""

    read: Callable[[bytes], Any]
    pack: Callable[[Any], tuple[bytes, bytes]]


def form_of(hello: Hello) -> Form:
    """The node's form, within the engine's limits."""
    limit = min(hello.max_message, hello.max_frame - _LONGEST_BEGIN)
    if hello.payload == JSON:
        from ._plain import PlainPacker

        return Form(json.loads, PlainPacker(limit).pack)
    if hello.payload != PROTOBUF:
        raise Breach(f"HELLO asks for the payload `{hello.payload}`, which this host does not know")
    from google.protobuf.any_pb2 import Any as AnyMessage

    return Form(AnyMessage.FromString, Packer(limit).pack)
