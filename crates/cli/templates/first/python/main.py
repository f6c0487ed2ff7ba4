"""Greets people by name."""

from public_input_pb2 import Greeting, GreetRequest


async def init(ctx):
    """Called once, before the first request: the place to load a model."""
    ctx.set("salutation", "Hello")


async def handler(ctx, data):
    """Called for each request."""
    request = GreetRequest()
    data.Unpack(request)
    ctx.logger.info(f"greeting {request.name}")
    return Greeting(text=f"{ctx.get('salutation')}, {request.name}!")
