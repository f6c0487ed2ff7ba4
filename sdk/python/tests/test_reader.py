"""How the reader splits a stream into frames."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krt import _protocol
from krt._protocol import ProtocolError, Reader

LARGE = 150_000
small = st.binary(max_size=60)
large = st.integers(LARGE - 3, LARGE).map(lambda size: bytes(range(256)) * (size // 256 + 1))
frames = st.tuples(st.integers(1, 7), st.integers(0, _protocol.MAX_ID), small | large)


@settings(deadline=None)
@given(sent=st.lists(frames, max_size=6), data=st.data())
def test_chunk_boundaries_do_not_matter(sent, data):
    stream = b"".join(_protocol.frame(*frame) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader, came = Reader(ours), []
        for start, end in zip([0, *cuts], [*cuts, len(stream)]):
            for part in range(start, end, 50_000):
                theirs.sendall(stream[part : min(part + 50_000, end)])
                came += drain(reader)
        theirs.close()
        assert reader.missing == 9
        assert reader.read(9) is None
    assert [(kind, number, bytes(body)) for kind, number, body in came] == sent


def drain(reader):
    """Reads all available bytes."""
    came = []
    with contextlib.suppress(BlockingIOError):
        while True:
            came += reader.read(64 * 1024, socket.MSG_DONTWAIT)
    return came


@given(frame=frames, data=st.data())
def test_the_missing_size_is_never_overestimated(frame, data):
    stream = _protocol.frame(*frame)
    cut = data.draw(st.integers(1, len(stream) - 1))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = Reader(ours)
        theirs.sendall(stream[:cut])
        assert reader.read(cut) == []
    lacks = reader.missing
    assert 1 <= lacks <= len(stream) - cut
    assert cut < 9 or lacks == len(stream) - cut


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((4, 2, 1), "its size is 4, less than 5"),
        ((101, 2, 1), "101 bytes, more than the limit of 100"),
        ((5, 0, 1), "the kind 0"),
        ((5, 9, 1), "the kind 9"),
        ((5, 64, 1), "the kind 64"),
    ],
)
def test_violations(header, message):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = Reader(ours)
        reader.max_frame = 100
        theirs.sendall(struct.pack("<IBI", *header))
        with pytest.raises(ProtocolError, match=message):
            reader.read(64)
