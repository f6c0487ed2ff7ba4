"""Warnings about names from older runners."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


class Notices:
    """Warns once about each old name."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._given: set[str] = set()

    def warn(self, old: str, new: str) -> None:
        """Warns about an old name and names its replacement."""
        if old not in self._given:
            self._given.add(old)
            self._logger.warning("`%s` is an old name; hint: use `%s`", old, new)
