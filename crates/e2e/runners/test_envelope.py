"""The envelopes that stand-ins accept, and those that they refuse."""

import gzip
import os

import pytest
from envelope import (
    LIMIT,
    ChokedError,
    KreNatsMessage,
    TooLargeError,
    decode,
    encode,
    now,
    require_way,
)
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

TIME = "2024-02-29T12:30:15.250000"


def envelope(**fields):
    made = KreNatsMessage(tracking_id="id", reply="inbox", **fields)
    made.tracking.add(node_name="entrypoint", start=TIME, end=TIME)
    made.payload.Pack(StringValue(value="word"))
    return made


def stage(**fields):
    made = envelope()
    made.tracking.add(**{"node_name": "one", "start": TIME, "end": TIME, **fields})
    return made.SerializeToString()


def test_the_wire_format_matches_the_contract():
    made = KreNatsMessage(tracking_id="a", reply="b", error="c", replied=True, early_exit=True)
    made.tracking.add(node_name="d", start="e", end="f")
    made.payload.type_url = "g"
    expected = (
        b"\x0a\x01a\x12\x09\x0a\x01d\x12\x01e\x1a\x01f\x1a\x01b\x22\x03\x0a\x01g\x2a\x01c0\x018\x01"
    )
    assert made.SerializeToString() == expected


def test_large_envelopes_are_compressed_and_larger_ones_refused():
    large = envelope()
    large.payload.Pack(StringValue(value="x" * LIMIT))
    data = encode(large)
    assert data.startswith(b"\x1f\x8b")
    assert decode(data, jetstream=False) == large
    assert decode(gzip.compress(stage()), jetstream=False) == decode(stage(), False)
    members = gzip.compress(stage()[:9]) + gzip.compress(stage()[9:])
    assert decode(members, jetstream=False) == decode(stage(), False)
    large.payload.Pack(BytesValue(value=os.urandom(LIMIT)))
    with pytest.raises(TooLargeError):
        encode(large)


def test_messages_of_runners_are_accepted():
    require_way(decode(stage(start=now(), end=now()), jetstream=False))
    assert decode(KreNatsMessage(error="no").SerializeToString(), jetstream=False).error == "no"
    assert decode(envelope(early_exit=True).SerializeToString(), jetstream=True).early_exit


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff",
        b"\x1f\x8bnothing",
        gzip.compress(stage())[:-9],
        gzip.compress(stage())[:-1],
        gzip.compress(stage())[:-1] + b"\xff",
        gzip.compress(stage())[:10] + b"\xff" + gzip.compress(stage())[11:],
        gzip.compress(stage()) + b"garbage",
        # A compression that no runner uses.
        b"\x28\xb5\x2f\xfd" + stage(),
        # A field unknown to all runners, outside and inside.
        stage() + b"\x42\x01x",
        stage() + b"\x12\x03\x22\x01x",
        envelope(early_exit=True).SerializeToString(),
        KreNatsMessage(tracking_id="id").SerializeToString(),
        stage(node_name=""),
        stage(start=""),
        stage(end="2024-02-29T12:30:15"),
        stage(end="2024-02-29T12:30:15.25"),
        stage(end="2024-02-29T12:30:15.250000Z"),
        stage(end="2024-02-29T12:30:15.250000000"),
        stage(end="2024-02-30T12:30:15.250000"),
        stage(end="2023-02-28T12:30:15.250000"),
    ],
)
def test_messages_unreadable_to_old_readers_are_refused(data):
    with pytest.raises(ChokedError):
        decode(data, jetstream=False)


@pytest.mark.parametrize("missing", ["tracking_id", "tracking", "payload"])
def test_envelopes_between_nodes_must_be_complete(missing):
    part = envelope()
    part.ClearField(missing)
    with pytest.raises(ChokedError):
        require_way(decode(part.SerializeToString(), jetstream=True))


def test_errors_between_nodes_are_refused():
    with pytest.raises(ChokedError):
        require_way(decode(KreNatsMessage(error="no").SerializeToString(), jetstream=False))
