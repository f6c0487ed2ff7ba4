"""Saves a document where the request asks for one."""

from public_input_pb2 import Work


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    if work.document:
        await ctx.db.save("saved", {"number": work.number})
    work.passed += "third"
    return work
