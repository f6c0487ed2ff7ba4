"""What the context raises. All are `krt.Error`."""

from __future__ import annotations


class Error(Exception):
    """Something that the context cannot do. Its text says what, and what to do."""


class ArgumentError(Error, ValueError):
    """An argument that a method of the context does not take."""


class DocumentError(ArgumentError):
    """A document or a query holds a value that cannot be stored; the text names the field."""


class DatabaseError(Error):
    """The store could not save a document, or could not search."""


class EarlyReplyError(Error):
    """The client cannot be answered now: it was before, or there is no request."""


class AnswerError(Error):
    """What a handler returned is no answer."""


class AnswerTooLargeError(AnswerError):
    """A message that is larger than messages may be; `size` says how many bytes it has."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        super().__init__(
            f"the answer, a `{name}`, has {size} bytes, more than the limit of {limit} bytes"
        )
        self.size = size
