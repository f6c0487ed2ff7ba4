__import__("no_such_" + "module")  # Only running it tells.


async def handler(ctx, data):
    return data
