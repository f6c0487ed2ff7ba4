"""Unpacks a large message and builds another."""

from single_pb2 import Blob


async def handler(ctx, data):
    blob = Blob()
    data.Unpack(blob)
    return Blob(content=blob.content)
