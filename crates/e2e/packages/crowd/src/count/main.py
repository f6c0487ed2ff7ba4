"""Counts how many are in work at a time."""

import asyncio

from public_input_pb2 import Count, Visit

inside = most = 0


async def handler(ctx, data):
    global inside, most
    visit = Visit()
    data.Unpack(visit)
    inside += 1
    most = max(most, inside)
    await asyncio.sleep(0.01)
    inside -= 1
    return Count(number=visit.number, most=most)
