"""`ctx.measurement`: points of time series.

An invalid measurement never fails a handler: each problem is logged, and the rest is saved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from time import time_ns
from typing import TYPE_CHECKING, Any

from . import _contract
from ._documents import INT64, nanoseconds, parse_iso, plain_of

if TYPE_CHECKING:
    import logging

    from ._context import Effects

_TIMES = range(2**63)


class _Unfit(Exception):
    """A value that a measurement cannot hold; the text gives the reason."""


class Measurements:
    """Saves measurements; the engine adds the tags `version`, `workflow` and `node`."""

    PRECISION_S = _contract.PRECISION_S
    """`time` is in seconds."""
    PRECISION_MS = _contract.PRECISION_MS
    """`time` is in milliseconds."""
    PRECISION_US = _contract.PRECISION_US
    """`time` is in microseconds."""
    PRECISION_NS = _contract.PRECISION_NS
    """`time` is in nanoseconds."""

    def __init__(self, logger: logging.Logger, effects: Effects) -> None:
        self._logger = logger
        self._effects = effects

    def save(
        self,
        measurement: str,
        fields: Mapping[str, Any],
        tags: Mapping[str, Any] | None = None,
        time: datetime | str | float | None = None,
        precision: str = _contract.PRECISION_NS,
    ) -> None:
        """Saves a measurement in the background; never blocks and never raises.

        Fields are strings, numbers and booleans. `time` is a number since the Unix epoch in
        `precision`, a `datetime` (naive is UTC) or an ISO 8601 string; the default is now.
        """
        try:
            self._save(measurement, fields, tags, time, precision)
        except Exception as error:
            self._warn(measurement, f"it is not saved: {error}")

    def _save(self, name: Any, fields: Any, tags: Any, time: Any, precision: Any) -> None:
        if not isinstance(name, str) or not name:
            raise _Unfit("its name must be a nonempty text")
        kept = self._keep_fields(name, fields)
        if not kept:
            raise _Unfit("it has no field left")
        self._effects.measure(
            {
                "measurement": _text(name),
                "fields": kept,
                "tags": self._keep_tags(name, tags),
                "time": time_ns() if time is None else _time(time, precision),
            }
        )

    def _keep_fields(self, name: str, fields: Any) -> dict[str, Any]:
        if not isinstance(fields, Mapping):
            raise _Unfit(f"its fields are {fields!r:.40}, which is no dict")
        kept = {}
        for key, value in fields.items():
            try:
                kept[_name(key)] = _field(value)
            except _Unfit as reason:
                self._warn(name, f"its field `{key!s:.80}` is left out: {reason}")
        return kept

    def _keep_tags(self, name: str, tags: Any) -> dict[str, str]:
        kept = {}
        if tags is not None and not isinstance(tags, Mapping):
            self._warn(name, f"its tags are left out: {tags!r:.40} is no dict")
            tags = None
        for key, value in (tags or {}).items():
            try:
                kept[_name(key)] = _text(str(value))
            except _Unfit as reason:
                self._warn(name, f"its tag `{key!s:.80}` is left out: {reason}")
        return kept

    def _warn(self, name: object, what: str) -> None:
        self._logger.warning("[ctx.measurement.save] measurement `%.80s`: %s", name, what)


def _name(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise _Unfit("its name must be a nonempty text")
    return _text(key)


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _Unfit(f"it is no valid text: {error.reason}") from None
    return value


def _field(value: Any) -> Any:
    value = plain_of(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if value in INT64:
            return int(value)
        raise _Unfit("it is an integer of more than 64 bits")
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise _Unfit(f"it is {value}")
    raise _Unfit(
        f"it is {value!r:.40}, a `{type(value).__name__}`, not a text, a number or a boolean"
    )


def _time(time: Any, precision: Any) -> int:
    unit = _contract.NANOSECONDS.get(precision) if isinstance(precision, str) else None
    if unit is None:
        raise _Unfit(f"its precision is {precision!r:.40}, not one of s, ms, us, ns")
    time = plain_of(time)
    if isinstance(time, str):
        time = parse_iso(time)
    if isinstance(time, datetime):
        moment = nanoseconds(time)
    elif isinstance(time, int):
        moment = time * unit
    elif isinstance(time, float) and math.isfinite(time):
        moment = round(time * unit)
    else:
        raise _Unfit(f"its time is {time!r:.40}, not a number, a datetime or an ISO 8601 text")
    if moment not in _TIMES:
        raise _Unfit(f"its time, {time}, is not between the years 1970 and 2262")
    return moment
