"""Returns what it gets; scales images, and fails or waits for ever where a text asks for it."""

import asyncio

from public_input_pb2 import All, Images


async def init(ctx):
    pass


async def handler(ctx, data):
    if data.Is(Images.DESCRIPTOR):
        images = Images()
        data.Unpack(images)
        images.pixels[:] = [pixel * images.factor for pixel in images.pixels]
        if images.factor < 0:
            images.pixels_shape[:] = [7]
        return images
    message = All()
    data.Unpack(message)
    ctx.logger.info("flag %s for %s", message.flag, ctx.metadata.get("x-tenant"))
    if message.text == "fail":
        raise ValueError("it fails on purpose")
    if message.text == "wait":
        await asyncio.Event().wait()
    return message
