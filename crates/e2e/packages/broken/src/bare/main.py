async def handle(ctx, data):
    return data
