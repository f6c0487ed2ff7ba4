"""What a host speaks to its engine through, in one hand."""

from __future__ import annotations

import socket
from typing import NamedTuple

from ._calls import Calls
from ._link import Link
from ._output import Streams
from ._reader import Reader


class Wires(NamedTuple):
    """The socket, and what reads and writes it."""

    socket: socket.socket
    reader: Reader
    link: Link
    streams: Streams
    calls: Calls
