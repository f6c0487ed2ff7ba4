"""Passes on what it gets."""


async def handler(ctx, data):
    """Called for each message: what it returns goes to the next node, or is the answer."""
    return data
