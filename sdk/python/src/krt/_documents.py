"""Converts dicts to and from relaxed Extended JSON v2, and dates from user code.

An error names the field that cannot be stored: a bare "not serializable" would make the user search
the whole document. Dates are `datetime`s and ISO 8601 strings, which Python 3.9 parses in part.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any, Callable

from ._protocol import to_json
from .errors import DocumentError

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_MICROSECOND = timedelta(microseconds=1)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))?)?"
    r"\s*(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_iso(text: str) -> datetime:
    """Parses an ISO 8601 string; naive if it names no zone. Cuts digits after the sixth.

    Raises `ValueError`.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"`{text}` is no ISO 8601 date, such as 2024-01-31T12:00:00Z")
    day, minute, second, fraction, zone = match.groups()
    fraction = (fraction or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(
        f"{day}T{minute or '00:00'}{second or ':00'}.{fraction}{_offset(zone)}"
    )


def _offset(zone: str | None) -> str:
    if zone is None:
        return ""
    if zone in "Zz":
        return "+00:00"
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{zone[0]}{digits[:2]}:{digits[2:]}"


def nanoseconds(moment: datetime) -> int:
    """Returns nanoseconds since the Unix epoch; a naive `datetime` is UTC."""
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // _MICROSECOND * 1000


def utc_now() -> datetime:
    """Returns the current time as an aware `datetime`."""
    return datetime.now(timezone.utc)


_DEEPEST = 100
"""The maximum nesting depth of a MongoDB document."""
INT64 = range(-(2**63), 2**63)
"""The range of integers that the stores support."""
_DECIMAL_DIGITS = 34
_DECIMAL_EXPONENTS = range(-6176, 6112)
_GENERIC, _UUID = "00", "04"


class ObjectId(str):
    """The id of a stored document: a string that finds the document again.

    It equals its 24 hexadecimal digits, and in a query it stands for the id.
    """

    __slots__ = ()


def encode(document: Mapping[str, Any]) -> bytes:
    """Encodes a document or a query. Raises `DocumentError`."""
    value = _encode_mapping(document, "", 1)
    return to_json(value).encode()


def decode(document: bytes) -> dict[str, Any]:
    """Decodes a document. Dates are naive and in UTC, as in pymongo."""
    value = json.loads(document, object_hook=_decode)
    if not isinstance(value, dict):
        raise ValueError("a document is a JSON object")
    return value


def _encode(value: Any, path: str, depth: int) -> Any:
    kind = value.__class__
    if value is None or kind is bool:
        return value
    if isinstance(value, str):
        return _encode_text(value, path)
    if isinstance(value, int):
        return _encode_int(int(value), path)
    if isinstance(value, float):
        return _encode_float(float(value))
    if depth >= _DEEPEST and isinstance(value, (Mapping, list, tuple)):
        raise DocumentError(f"`{path}` is nested more than {_DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return _encode_mapping(value, path, depth + 1)
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _encode_special(value, path, depth)


def _encode_mapping(value: Any, path: str, depth: int) -> dict[str, Any]:
    encoded = {}
    for key, item in value.items():
        if not isinstance(key, str):
            where = f"in `{path}`" if path else "at the top"
            kind = type(key).__name__
            raise DocumentError(f"a key {where} is {key!r:.40}, a `{kind}`; hint: make it a text")
        inner = f"{path}.{key}" if path else key
        encoded[_encode_key(key, inner)] = _encode(item, inner, depth)
    return encoded


def _encode_key(key: str, path: str) -> str:
    if "\0" in key:
        raise DocumentError(f"the key {path!r} has a null character")
    plain: str = _encode_text(key, path) if key.__class__ is str else str(key)
    return plain


def _encode_text(value: str, path: str) -> Any:
    if value.__class__ is ObjectId:
        return {"$oid": str(value)}
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            where = ascii(path)[1:-1]
            raise DocumentError(f"`{where:.200}` is no valid text: {error.reason}") from None
    return value


def _encode_int(value: int, path: str) -> int:
    if value not in INT64:
        raise DocumentError(
            f"`{path}` is {value:.3e}, more than 64 bits hold; hint: store it as text or a float"
            if abs(value) < 10**300
            else f"`{path}` is a number of {value.bit_length()} bits, of which 64 can be stored"
        )
    return value


def _encode_float(value: float) -> Any:
    if math.isfinite(value):
        return value
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return {"$numberDouble": name}


def _encode_date(value: datetime) -> dict[str, Any]:
    milliseconds = nanoseconds(value) // 1_000_000
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    if moment.year < EPOCH.year:
        return {"$date": {"$numberLong": str(milliseconds)}}
    return {"$date": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03}Z"}


def _encode_bytes(value: bytes, subtype: str) -> dict[str, Any]:
    from base64 import b64encode

    return {"$binary": {"base64": b64encode(value).decode(), "subType": subtype}}


def _encode_decimal(value: Any, path: str) -> dict[str, Any]:
    if value.is_finite():
        _, digits, exponent = value.as_tuple()
        if len(digits) > _DECIMAL_DIGITS or exponent not in _DECIMAL_EXPONENTS:
            raise DocumentError(
                f"`{path}` is a Decimal of {len(digits)} digits and the exponent {exponent}, "
                f"more than 128 bits hold; hint: round it"
            )
    elif value.is_nan():
        return {"$numberDecimal": "NaN"}
    return {"$numberDecimal": str(value)}


def _encode_special(value: Any, path: str, depth: int) -> Any:
    """Encodes values by the name of their type, which avoids importing their libraries."""
    try:
        if isinstance(value, datetime):
            return _encode_date(value)
    except ValueError:
        raise DocumentError(f"`{path}` is {value!r:.40}, which is no date") from None
    if isinstance(value, date):
        return _encode_date(datetime(value.year, value.month, value.day, tzinfo=timezone.utc))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _encode_bytes(bytes(value), _GENERIC)
    name = f"{type(value).__module__}.{type(value).__name__}"
    if name == "uuid.UUID":
        return _encode_bytes(value.bytes, _UUID)
    if name == "decimal.Decimal":
        return _encode_decimal(value, path)
    if name == "bson.objectid.ObjectId":
        return {"$oid": str(value)}
    if name == "bson.decimal128.Decimal128":
        return {"$numberDecimal": str(value)}
    plain = plain_of(value)
    if plain is not value:
        return _encode(plain, path, depth)
    raise DocumentError(f"`{path}` is a `{name}`, which cannot be stored{_hint(value)}")


def plain_of(value: Any) -> Any:
    """Converts a numpy value to a Python value; returns other values unchanged."""
    if not type(value).__module__.startswith("numpy"):
        return value
    convert: Callable[[], Any] | None = getattr(value, "tolist", None)
    return value if convert is None else convert()


def _hint(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return "; hint: make it a list"
    if hasattr(value, "SerializeToString"):
        return "; hint: use google.protobuf.json_format.MessageToDict"
    return "; hint: store its fields, or its text"


def _decode(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    [(key, inner)] = value.items()
    if key[:1] != "$":
        return value
    read = _READERS.get(key)
    return value if read is None else read(inner)


def _decode_date(inner: Any) -> datetime:
    if isinstance(inner, int):
        return (EPOCH + timedelta(milliseconds=inner)).replace(tzinfo=None)
    return parse_iso(inner).astimezone(timezone.utc).replace(tzinfo=None)


def _decode_binary(inner: Any) -> Any:
    from base64 import b64decode

    value = b64decode(inner["base64"])
    if inner["subType"] != _UUID:
        return value
    from uuid import UUID

    return UUID(bytes=value)


def _decode_decimal(inner: str) -> Any:
    from decimal import Decimal

    return Decimal(inner)


_READERS: dict[str, Callable[[Any], Any]] = {
    "$oid": ObjectId,
    "$date": _decode_date,
    "$binary": _decode_binary,
    "$numberInt": int,
    "$numberLong": int,
    "$numberDouble": float,
    "$numberDecimal": _decode_decimal,
}
