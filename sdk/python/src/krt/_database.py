"""`ctx.db`: documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _contract, _documents
from ._connection import CallFailed
from .errors import ArgumentError, DatabaseError

if TYPE_CHECKING:
    from ._context import Effects


class Database:
    """Saves and finds documents in the version's own database."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    async def save(self, coll: str, data: Mapping[str, Any]) -> None:
        """Saves a document and returns once the store has it.

        Raises `ArgumentError`, `DocumentError` for a value that cannot be stored, and
        `DatabaseError` if the store fails.
        """
        _check_collection("db.save", coll)
        if not isinstance(data, Mapping):
            raise ArgumentError(f"[ctx.db.save] invalid 'data'='{data!r:.80}', must be a dict")
        try:
            await self._effects.save(coll, _documents.encode(data))
        except CallFailed as failure:
            raise DatabaseError(_contract.not_saved(str(failure))) from None

    async def find(self, coll: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the documents that match a MongoDB query.

        Dates are naive and in UTC, ids are strings. Raises the same errors as `save`.
        """
        _check_collection("db.find", coll)
        if not isinstance(query, Mapping) or not query:
            raise ArgumentError(_contract.not_query(query))
        try:
            found = await self._effects.find(coll, _documents.encode(query))
        except CallFailed as failure:
            raise DatabaseError(_contract.not_found(str(failure))) from None
        return [_documents.decode(document) for document in found]


def _check_collection(method: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ArgumentError(_contract.not_text(method, "collection", value))
