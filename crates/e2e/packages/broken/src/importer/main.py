import no_such_module


async def handler(ctx, data):
    return data
