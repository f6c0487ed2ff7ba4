"""Plain data in place of messages, for a node with `payload: json`.

The engine knows the message types; here every message is JSON.
"""

from __future__ import annotations

import json
import math
from typing import Any

from ._documents import plain_of
from .errors import AnswerError, AnswerTooLargeError

_DEEPEST = 100


def _special(value: Any) -> Any:
    plain = plain_of(value)
    if plain is value:
        raise TypeError
    return plain


_write = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_special
).encode


class PlainPacker:
    """Packs the plain data of a handler: dicts, lists, strings, numbers, booleans, `None`.

    numpy values count as Python values, tuples as lists.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def pack(self, answer: Any) -> tuple[bytes, bytes]:
        """Returns empty bytes and the JSON, to match the two parts of `Packer.pack`."""
        try:
            body = _write(answer).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise AnswerError(_misfit(answer, "", 0) or f"the answer is no JSON: {error}") from None
        if len(body) > self._limit:
            raise AnswerTooLargeError("JSON text", len(body), self._limit)
        return b"", body


def _misfit(value: Any, path: str, depth: int) -> str | None:
    """Describes the first value that JSON cannot hold, if any."""
    value = plain_of(value)
    where = f"field `{path}`" if path else "the answer"
    if depth > _DEEPEST:
        return f"{where} is nested more than {_DEEPEST} levels deep"
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else f"{key}"
            found = _misfit_of_key(key, where) or _misfit(item, inner, depth + 1)
            if found:
                return found
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _misfit(item, f"{path}[{index}]", depth + 1)
            if found:
                return found
    elif isinstance(value, float):
        return None if math.isfinite(value) else f"{where} is {value!r}, which JSON does not have"
    elif not (value is None or isinstance(value, (str, int))):
        kind = type(value)
        return f"{where} is a `{kind.__module__}.{kind.__qualname__}`, not plain data{_hint(value)}"
    return None


def _misfit_of_key(key: Any, where: str) -> str | None:
    if isinstance(key, str):
        return None
    return f"a key of {where} is {key!r:.40}, a `{type(key).__name__}`; hint: make it a text"


def _hint(value: Any) -> str:
    if hasattr(value, "SerializeToString"):
        return "; hint: this node has `payload: json` in krt.yml, return a dict"
    if isinstance(value, (set, frozenset)):
        return "; hint: make it a list"
    return "; hint: return its fields, or its text"
