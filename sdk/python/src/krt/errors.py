"""The exceptions of the context. All derive from `krt.Error`."""

from __future__ import annotations


class Error(Exception):
    """A failure of the context. The text gives the cause and a remedy."""


class ArgumentError(Error, ValueError):
    """An argument that a method of the context does not accept."""


class DocumentError(ArgumentError):
    """A document or a query holds a value that cannot be stored; the text names the field."""


class DatabaseError(Error):
    """The store failed to save a document, or to search."""


class EarlyReplyError(Error):
    """No early reply is possible: the client already has one, or there is no request."""


class AnswerError(Error):
    """The return value of a handler is not a valid answer."""


class AnswerTooLargeError(AnswerError):
    """A message above the size limit; `size` is its size in bytes."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        super().__init__(
            f"the answer, a `{name}`, has {size} bytes, more than the limit of {limit} bytes"
        )
        self.size = size
