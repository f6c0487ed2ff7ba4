"""Passes every message on as it came."""


async def handler(ctx, data):
    return data
