"""Announces its process id, then never finishes a message: the benchmark kills it."""

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
    """Writes the process id atomically."""
    with open(f"{file}.part", "w") as part:
        part.write(str(os.getpid()))
    os.replace(f"{file}.part", file)
