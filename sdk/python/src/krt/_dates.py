"""Dates from user code: `datetime`s and ISO 8601 strings, which Python 3.9 parses only in part."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

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
