"""`ctx.metadata`: what the client sent beside its message."""

from __future__ import annotations

from base64 import b64decode
from typing import Iterator, Mapping

BINARY = "-bin"
"""The end of names whose values are bytes."""


class Metadata(Mapping[str, str]):
    """What the client sent as gRPC metadata or HTTP headers, of the names that krt.yml lists.

    A mapping from names to texts. Names are in lower case; a lookup takes any case. Texts that came
    under one name are one value, with a comma and a space between them, as in HTTP; `all` returns
    them apart. Names that end in `-bin` have bytes, which only `binary` returns.
    """

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def all(self, name: str) -> list[str]:
        """Returns the texts that came under a name, in their order."""
        return [] if _is_binary(name) else list(self._values.get(name.lower(), ()))

    def binary(self, name: str) -> list[bytes]:
        """Returns the values that came under a name that ends in `-bin`, in their order."""
        values = self._values.get(name.lower(), ()) if _is_binary(name) else ()
        return [b64decode(value) for value in values]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._values if not _is_binary(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Shows the names only: values may be secrets."""
        return f"<Metadata {list(self._values)}>"


def _is_binary(name: str) -> bool:
    return name.lower().endswith(BINARY)
