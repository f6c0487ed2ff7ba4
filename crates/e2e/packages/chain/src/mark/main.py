"""Adds the node's name to the text, and takes a moment for it, in which it can be killed."""

import asyncio
import os

from public_input_pb2 import Ping

NAME = os.environ["KRT_NODE_NAME"]


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    await asyncio.sleep(0.001)
    return Ping(text=f"{ping.text} {NAME}")
