"""The frame codec."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krt import _frames
from krt._frames import Breach, Cutter, Hello

frames = st.tuples(st.integers(1, 7), st.integers(0, _frames.MAX_ID), st.binary(max_size=60))


@given(sent=st.lists(frames, max_size=8), data=st.data())
def test_frames_survive_any_way_to_cut_the_stream(sent, data):
    stream = b"".join(_frames.frame(*frame) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    cutter, came = Cutter(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)]):
        came += cutter.cut(stream[start:end])
    assert came == sent
    assert cutter.missing == 9


@given(frame=frames, data=st.data())
def test_what_a_begun_frame_lacks_is_never_too_much(frame, data):
    stream = _frames.frame(*frame)
    cut = data.draw(st.integers(1, len(stream) - 1))
    cutter = Cutter()
    assert cutter.cut(stream[:cut]) == []
    lacks = cutter.missing
    assert 1 <= lacks <= len(stream) - cut
    assert cut < 9 or lacks == len(stream) - cut


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((4, 2, 1), "its size is 4, less than 5"),
        ((101, 2, 1), "101 bytes, more than the limit of 100"),
        ((5, 0, 1), "the kind 0"),
        ((5, 8, 1), "the kind 8"),
        ((5, 64, 1), "the kind 64"),
    ],
)
def test_breaches(header, message):
    cutter = Cutter()
    cutter.max_frame = 100
    with pytest.raises(Breach, match=message):
        cutter.cut(struct.pack("<IBI", *header))


@given(st.binary(max_size=10))
def test_a_deliver_that_does_not_parse_is_an_error(rest):
    with pytest.raises((Breach, struct.error)):
        _frames.parse_deliver(struct.pack("<BHBH", 0, 0, 20, 0)[: len(rest)] + rest[:5])


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


def test_hello_ignores_what_it_does_not_know():
    hello = Hello.parse(json.dumps({**HELLO, "more": {"a": 1}}).encode())
    assert hello._asdict() == HELLO


@pytest.mark.parametrize("name", sorted(HELLO))
def test_hello_names_what_it_lacks(name):
    fields = {key: value for key, value in HELLO.items() if key != name}
    with pytest.raises(Breach, match=f"no field '{name}'"):
        Hello.parse(json.dumps(fields).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"protocol": "x"}', b"\xff"])
def test_hello_that_does_not_parse(body):
    with pytest.raises(Breach):
        Hello.parse(body)
