"""Lets nobody through before 32 are there together, each of whom waits 50 ms."""

import asyncio

from public_input_pb2 import Count, Visit

inside = most = 0
full = asyncio.Event()


async def handler(ctx, data):
    global inside, most
    visit = Visit()
    data.Unpack(visit)
    inside += 1
    most = max(most, inside)
    if inside == 32:
        full.set()
    await full.wait()
    await asyncio.sleep(0.05)
    inside -= 1
    return Count(number=visit.number, most=most)
