"""Uses a generated file that lies beside it."""

import os

import public_input_pb2
from public_input_pb2 import Ping

assert os.path.dirname(public_input_pb2.__file__) == os.path.dirname(__file__)


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    return Ping(text=f"{ping.text} old")
