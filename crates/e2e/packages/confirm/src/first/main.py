"""Confirms what it is asked to confirm, and passes everything on."""

import asyncio

from public_input_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    if work.confirm:
        await ctx.early_reply(Work(text=f"{work.text} confirmed"))
    await asyncio.sleep(0.001)
    return work
