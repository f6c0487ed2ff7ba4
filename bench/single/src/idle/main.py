"""Imports nothing before its first message: its process is what the host alone needs."""


async def handler(ctx, data):
    import os

    from single_pb2 import Process

    return Process(id=os.getpid())
