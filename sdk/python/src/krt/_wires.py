"""The socket of a worker with its reader and writer."""

from __future__ import annotations

import socket
from typing import NamedTuple

from ._calls import Calls
from ._link import Link
from ._output import Streams
from ._reader import Reader


class Wires(NamedTuple):
    """The socket, its reader and its writer."""

    socket: socket.socket
    reader: Reader
    link: Link
    streams: Streams
    calls: Calls
