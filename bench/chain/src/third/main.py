"""Unpacks, builds, returns."""

from chain_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    return Work(text=work.text, steps=work.steps + 1, values=work.values)
