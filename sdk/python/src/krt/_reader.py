"""The reading side of the socket: splits the byte stream into frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._frames import FROM_ENGINE, HEADER, MAX_ID, OVERHEAD, SIZE, ProtocolError

if TYPE_CHECKING:
    import socket

    from ._frames import Frame

_LARGE = 64 * 1024
"""Above this many missing bytes, the rest of a frame is read into its final buffer."""


class Reader:
    """Reads a socket frame by frame.

    The rest of a large frame is read into its final buffer, which saves a copy.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.max_frame = MAX_ID
        self._socket = sock
        self._held = b""
        self._wanted = HEADER.size
        self._large: memoryview | None = None
        self._filled = 0

    @property
    def missing(self) -> int:
        """Returns the minimum number of bytes missing from the next frame."""
        return self._wanted - (self._filled if self._large else len(self._held))

    def read(self, most: int, flags: int = 0) -> list[Frame] | None:
        """Reads once, at most `most` bytes unless a frame lacks more.

        Returns the complete frames, or `None` at the end of the socket. Raises `ProtocolError` for
        an invalid frame, and the errors of the socket.
        """
        if self._large is not None:
            count = self._socket.recv_into(self._large[self._filled :], 0, flags)
            return self._fill(self._large, count) if count else None
        data = self._socket.recv(most, flags)
        return self.cut(data) if data else None

    def cut(self, data: bytes) -> list[Frame]:
        """Adds bytes between large frames, and returns the frames that they complete."""
        if self._held:
            data = self._held + data
        frames: list[Frame] = []
        position, length = 0, len(data)
        header = HEADER.unpack_from
        self._wanted = HEADER.size
        while length - position >= HEADER.size:
            size, kind, number = header(data, position)
            if size < OVERHEAD or size > self.max_frame or kind not in FROM_ENGINE:
                raise ProtocolError(self._describe(size, kind))
            end = position + SIZE + size
            if end > length:
                self._wanted = SIZE + size
                break
            frames.append((kind, number, data[position + HEADER.size : end]))
            position = end
        self._held = data[position:] if position else data
        if self.missing > _LARGE:
            self._begin_large()
        return frames

    def _begin_large(self) -> None:
        self._large = memoryview(bytearray(self._wanted))
        self._filled = len(self._held)
        self._large[: self._filled] = self._held
        self._held = b""

    def _fill(self, large: memoryview, count: int) -> list[Frame]:
        self._filled += count
        if self._filled < self._wanted:
            return []
        self._large = None
        self._wanted = HEADER.size
        _, kind, number = HEADER.unpack_from(large)
        return [(kind, number, large[HEADER.size :])]

    def _describe(self, size: int, kind: int) -> str:
        if size < OVERHEAD:
            return f"a frame says that its size is {size}, less than {OVERHEAD}"
        if size > self.max_frame:
            return f"a frame has {size} bytes, more than the limit of {self.max_frame}"
        return f"no frame of the engine's has the kind {kind}"
