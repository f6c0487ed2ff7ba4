"""The layouts of frames."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krt import _protocol
from krt._protocol import Hello, ProtocolError

sizes = st.integers(0, 12) | st.integers(0, 0xFFFF)


@given(cut=st.integers(0, 6), request=sizes, metadata=sizes, rest=st.binary(max_size=40))
def test_a_deliver_has_all_its_parts_or_is_an_error(cut, request, metadata, rest):
    start = struct.pack("<BHBH", 1, 2, request & 0xFF, metadata)[:cut]
    body = start + rest
    try:
        flags, *parts = _protocol.parse_deliver(body)
    except struct.error:
        assert len(body) < 6
    except ProtocolError:
        assert 6 + body[3] + int.from_bytes(body[4:6], "little") > len(body)
    else:
        assert (flags, b"".join(parts)) == (body[0], body[6:])
        assert [len(part) for part in parts[:2]] == [body[3], int.from_bytes(body[4:6], "little")]


HELLO = {
    "protocol": 1,
    "node": "etl",
    "version": "v1",
    "version_id": "1",
    "base_path": "/p",
    "handler_path": "/p/src/etl/main.py",
    "concurrency": 1,
    "max_frame": 100,
    "max_message": 50,
    "log_level": "INFO",
    "descriptors": "",
}


def test_hello_ignores_unknown_fields():
    hello = Hello.parse(json.dumps({**HELLO, "more": {"a": 1}}).encode())
    assert hello._asdict() == {**HELLO, "payload": "protobuf", "batch": 0, "stream": None}


def test_hello_has_the_largest_batch():
    hello = Hello.parse(json.dumps({**HELLO, "batch": {"max": 8, "more": 1}}).encode())
    assert hello.batch == 8


@pytest.mark.parametrize("name", sorted(HELLO))
def test_hello_names_missing_fields(name):
    fields = {key: value for key, value in HELLO.items() if key != name}
    with pytest.raises(ProtocolError, match=f"no field '{name}'"):
        Hello.parse(json.dumps(fields).encode())


def test_hello_has_the_window_of_streams():
    window = {"messages": 8, "bytes": 9, "more": 1}
    hello = Hello.parse(json.dumps({**HELLO, "stream": window}).encode())
    assert hello.stream == (8, 9)


BAD_STREAM = json.dumps({**HELLO, "stream": {"messages": 8}}).encode()
BAD_BATCH = json.dumps({**HELLO, "batch": True}).encode()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"protocol": "x"}', b"\xff", BAD_BATCH, BAD_STREAM]
)
def test_invalid_hellos(body):
    with pytest.raises(ProtocolError):
        Hello.parse(body)
