"""The only node of this package: it greets."""

from public_input_pb2 import Greeting, GreetRequest


async def init(ctx):
    ctx.logger.info("ready to greet")
    ctx.set("salutation", "Hello")


async def handler(ctx, data):
    request = GreetRequest()
    data.Unpack(request)

    if not request.name:
        raise ValueError("a name is needed to greet somebody")

    ctx.logger.info(f"greeting {request.name}")
    return Greeting(text=f"{ctx.get('salutation')}, {request.name}!")
