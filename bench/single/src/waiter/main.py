"""Awaits 50 ms, as a handler that asks another service would."""

import asyncio

from single_pb2 import Ping


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    await asyncio.sleep(0.05)
    return Ping(text=ping.text)
