"""Takes a moment, in which it can be killed."""

import asyncio

from public_input_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    await asyncio.sleep(0.001)
    return work
