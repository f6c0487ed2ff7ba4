"""Does what each request of a batch names."""

import asyncio
import os
from pathlib import Path

from public_input_pb2 import Answer, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    orders = [order_of(item) for item in data]
    acts = [order.act for order in orders]
    if "hold" in acts:
        (SCRATCH / "hold.begun").touch()
        while not (SCRATCH / "hold").exists():
            await asyncio.sleep(0.01)
    if "fail" in acts:
        raise RuntimeError("poison")
    if "die" in acts:
        os._exit(3)
    return [await answer(own, order, len(data)) for own, order in zip(ctx.items, orders)]


async def answer(own, order, size):
    if order.act == "fail alone":
        return ValueError("only this one")
    if order.act == "early":
        await own.early_reply(Answer(text="early", process=size))
    own.logger.info("did %s", order.act)
    if order.act == "request":
        return Answer(text=own.request_id, process=size)
    return Answer(text=order.act, process=size)


def order_of(item):
    order = Order()
    item.Unpack(order)
    return order
