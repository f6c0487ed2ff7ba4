"""Adds the node's name to the text."""

import os

from public_input_pb2 import Ping

NAME = os.environ["KRT_NODE_NAME"]


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    return Ping(text=f"{ping.text} {NAME}")
