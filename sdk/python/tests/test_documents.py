"""Documents as Extended JSON."""

from __future__ import annotations

import enum
import json
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from krt import ObjectId
from krt._documents import decode, encode
from krt.errors import DocumentError

MILLISECOND = timedelta(milliseconds=1)


def whole_milliseconds(moment: datetime) -> datetime:
    return datetime(1970, 1, 1) + (moment - datetime(1970, 1, 1)) // MILLISECOND * MILLISECOND


texts = st.text(st.characters(blacklist_categories=["Cs"]))
keys = texts.filter(lambda key: not key.startswith("$") and "\0" not in key)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    texts,
    st.binary(),
    st.uuids(),
    st.datetimes().map(whole_milliseconds),
    st.decimals(-(10**15), 10**15, places=4),
    st.binary(min_size=12, max_size=12).map(lambda raw: ObjectId(raw.hex())),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(keys, values, max_size=5)


def kinds(value):
    """A value with its types, since 1 == 1.0 == True."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list):
        return [kinds(item) for item in value]
    return type(value), value


@given(documents)
def test_documents_round_trip(document):
    assert kinds(decode(encode(document))) == kinds(document)


@given(documents)
def test_documents_are_json(document):
    json.loads(encode(document), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (2.0, "2.0"),
        (2, "2"),
        (True, "true"),
        (math.nan, '{"$numberDouble":"NaN"}'),
        (math.inf, '{"$numberDouble":"Infinity"}'),
        (-math.inf, '{"$numberDouble":"-Infinity"}'),
        (datetime(2024, 1, 31, 12, 0, 0, 123999), '{"$date":"2024-01-31T12:00:00.123Z"}'),
        (
            datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
            '{"$date":"2024-01-31T10:00:00.000Z"}',
        ),
        (datetime(1969, 12, 31, 23, 59, 59), '{"$date":{"$numberLong":"-1000"}}'),
        (date(2024, 1, 31), '{"$date":"2024-01-31T00:00:00.000Z"}'),
        (b"\x00\xff", '{"$binary":{"base64":"AP8=","subType":"00"}}'),
        (bytearray(b"a"), '{"$binary":{"base64":"YQ==","subType":"00"}}'),
        (UUID(int=1), '{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAQ==","subType":"04"}}'),
        (Decimal("1.50"), '{"$numberDecimal":"1.50"}'),
        (Decimal("NaN"), '{"$numberDecimal":"NaN"}'),
        (Decimal("-Infinity"), '{"$numberDecimal":"-Infinity"}'),
        (ObjectId("0" * 24), '{"$oid":"000000000000000000000000"}'),
        ((1, "é"), '[1,"é"]'),
        (enum.IntEnum("E", "A").A, "1"),
        ({"$gt": 5}, '{"$gt":5}'),
    ],
)
def test_encoding(value, encoded):
    assert encode({"v": value}).decode() == f'{{"v":{encoded}}}'


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"metadata": {"items": [1, 2, 3, {"price": 1 << 64}]}},
            r"`metadata\.items\[3\]\.price` is",
        ),
        ({"a": {"b": 10**400}}, r"`a\.b` is a number of 1329 bits"),
        ({"a": {1: 2}}, r"a key in `a` is 1, a `int`"),
        ({None: 2}, r"a key at the top is None, a `NoneType`"),
        ({"a": {2, 3}}, r"`a` is a `builtins\.set`, .*hint: make it a list"),
        ({"a": [StringValue()]}, r"`a\[0\]` is a `.*StringValue`.*MessageToDict"),
        ({"a": object()}, r"`a` is a `builtins\.object`"),
        ({"a": "\ud800"}, r"`a` is no valid text"),
        ({"a\0b": 1}, "has a null character"),
        ({"a": Decimal("1." + "1" * 40)}, r"`a` is a Decimal of 41 digits and the exponent -40"),
        ({"a": Decimal("1E+7000")}, r"`a` is a Decimal of 1 digits and the exponent 7000"),
    ],
)
def test_unsupported_values_name_their_field(document, message):
    with pytest.raises(DocumentError, match=message):
        encode(document)


def test_depth_is_bounded():
    deep: dict = {}
    deep["again"] = deep
    with pytest.raises(DocumentError, match="more than 100 levels"):
        encode(deep)
    nested: object = 1
    for _ in range(99):
        nested = {"a": nested}
    assert decode(encode({"a": nested}))["a"] == nested


def test_numpy_values_become_python_values():
    numpy = pytest.importorskip("numpy")
    document = {
        "i": numpy.int64(3),
        "f": numpy.float32(0.5),
        "b": numpy.bool_(True),
        "a": numpy.array([[1, 2], [3, 4]]),
        "s": numpy.str_("text"),
        "d": numpy.datetime64("2024-01-31T00:00:00.000"),
    }
    assert kinds(decode(encode(document))) == kinds(
        {
            "i": 3,
            "f": 0.5,
            "b": True,
            "a": [[1, 2], [3, 4]],
            "s": "text",
            "d": datetime(2024, 1, 31),
        }
    )


def test_values_of_pymongo_are_recognised_by_name():
    bson = pytest.importorskip("bson")
    from bson.decimal128 import Decimal128

    identity = bson.ObjectId()
    decoded = decode(encode({"_id": identity, "d": Decimal128("1.5")}))
    assert decoded == {"_id": str(identity), "d": Decimal("1.5")}
    assert encode(decoded) == encode({"_id": identity, "d": Decimal128("1.5")})


def test_unknown_types_stay_unchanged():
    assert decode(b'{"a":{"$timestamp":{"t":1,"i":2}}}') == {"a": {"$timestamp": {"t": 1, "i": 2}}}
    assert decode(b'{"a":{"$numberLong":"5"},"b":{"$numberInt":"6"}}') == {"a": 5, "b": 6}
