"""Imports nothing before its first message, so its process shows the memory of the host alone."""


async def handler(ctx, data):
    import os

    from single_pb2 import Process

    return Process(id=os.getpid())
