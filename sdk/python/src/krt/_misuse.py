"""Explains errors of handlers that expect a different `payload` than krt.yml sets."""

from __future__ import annotations

import re
from typing import Callable

Explain = Callable[[BaseException], str]
"""Returns a hint for an exception of a handler, or an empty string."""

_METHODS = frozenset(("copy", "get", "items", "keys", "pop", "setdefault", "update", "values"))
_WORDS = r"(subscriptable|iterable|container|mapping|item\b|JSON|has no\b)"
_ANY_AS_A_DICT = re.compile(rf"\bAny\b.*{_WORDS}|{_WORDS}.*\bAny\b")


def of_messages(node: str) -> Explain:
    """Explains errors for a node whose handler gets a `google.protobuf.Any`."""

    def explain(error: BaseException) -> str:
        if not _is_about_any(error):
            return ""
        return (
            "hint: `data` is a `google.protobuf.Any`; to work with plain data, add `payload: json` "
            f"to node `{node}` in krt.yml, else unpack a message from it: `data.Unpack(request)`"
        )

    return explain


def of_plain_data(node: str) -> Explain:
    """Explains errors for a node whose handler gets a dict."""

    def explain(error: BaseException) -> str:
        if not (isinstance(error, AttributeError) and "'dict' object" in str(error)):
            return ""
        if not re.search(r"'(Unpack|Is|TypeName|type_url)'", str(error)):
            return ""
        return (
            f"hint: `data` is a dict, since node `{node}` has `payload: json` in krt.yml; "
            "remove that line to get a `google.protobuf.Any`"
        )

    return explain


def _is_about_any(error: BaseException) -> bool:
    """Whether the handler used an `Any` as a dict, or as the message in it."""
    if isinstance(error, AttributeError):
        return _is_any(getattr(error, "obj", None)) or str(error) in _METHODS or _names_any(error)
    return isinstance(error, (TypeError, ValueError)) and _names_any(error)


def _names_any(error: BaseException) -> bool:
    return _ANY_AS_A_DICT.search(str(error)) is not None


def _is_any(value: object) -> bool:
    descriptor = getattr(type(value), "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", None) == "google.protobuf.Any"
