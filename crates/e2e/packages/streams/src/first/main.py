"""Sends messages before the last node does, or ends the answer itself."""

from public_input_pb2 import Item, Order


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    await ctx.send(Item(text="first"))
    if order.before == "exit":
        ctx.early_exit()
        return Item(text="last")
    if order.before == "end":
        ctx.early_exit()
        return None
    if order.before == "reply":
        await ctx.early_reply(Item(text="soon"))
    return order
