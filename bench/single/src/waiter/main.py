"""Awaits 50 ms, like a handler that calls another service."""

import asyncio

from single_pb2 import Ping


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    await asyncio.sleep(0.05)
    return Ping(text=ping.text)
