"""The layouts of frames."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krt import _protocol
from krt._protocol import Hello, ProtocolError


@given(st.binary(max_size=10))
def test_an_invalid_deliver_is_an_error(rest):
    with pytest.raises((ProtocolError, struct.error)):
        _protocol.parse_deliver(struct.pack("<BHBH", 0, 0, 20, 0)[: len(rest)] + rest[:5])


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
