async def handler(ctx, data):
    return data
