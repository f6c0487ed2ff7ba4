"""Says who it is, then handles a message for ever: it is there to be killed."""

import asyncio
import os

from single_pb2 import HangRequest, Process


async def handler(ctx, data):
    request = HangRequest()
    data.Unpack(request)

    if request.file:
        announce(request.file)
        await asyncio.Event().wait()
    return Process(id=os.getpid())


def announce(file):
    """Writes the process id so that a reader never sees half of it."""
    with open(f"{file}.part", "w") as part:
        part.write(str(os.getpid()))
    os.replace(f"{file}.part", file)
