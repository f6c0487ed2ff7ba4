"""Adds the node's name to the text, and does what the order says that it shall do."""

import os

from public_input_pb2 import Order

NAME = os.environ["KRT_NODE_NAME"]


def init(ctx):
    ctx.set("name", NAME)


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    order.text = f"{order.text} {ctx.get('name')}"
    node, _, act = order.act.partition(" ")
    if node == NAME:
        return await ACTS[act](ctx, order)
    return order


async def fail(ctx, order):
    raise ValueError(f"no: {order.text}")


async def none(ctx, order):
    return None


async def early_reply(ctx, order):
    await ctx.early_reply(Order(text=f"{order.text} early"))
    return order


async def early_reply_and_none(ctx, order):
    await ctx.early_reply(Order(text=f"{order.text} early"))


async def early_reply_twice(ctx, order):
    await ctx.early_reply(Order(text=f"{order.text} early"))
    await ctx.early_reply(Order(text=f"{order.text} twice"))


async def early_exit(ctx, order):
    ctx.early_exit()
    return order


async def early_reply_and_exit(ctx, order):
    await ctx.early_reply(Order(text=f"{order.text} early"))
    ctx.early_exit()
    return order


async def save(ctx, order):
    await ctx.db.save("orders", {"text": order.text, "load": "x" * len(order.load)})
    return order


async def predict(ctx, order):
    await ctx.prediction.save(predicted_value="a", true_value=order.text)
    return order


async def grow(ctx, order):
    order.load = os.urandom(2 << 20)
    return order


ACTS = {
    act.__name__: act
    for act in [
        fail,
        none,
        early_reply,
        early_reply_and_none,
        early_reply_twice,
        early_exit,
        early_reply_and_exit,
        save,
        predict,
        grow,
    ]
}
