"""Streams as many messages as its request says, and notes in files how far it has come."""

import asyncio
import os
import signal
from pathlib import Path

from public_input_pb2 import Item, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    note(order, "calls", "x")
    try:
        if order.then == "die once" and not (SCRATCH / f"{order.name}.died").exists():
            (SCRATCH / f"{order.name}.died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        for number in range(order.count):
            yield Item(number=number, text="x" * order.size)
            note(order, "sent", "x")
        await end(ctx, order)
        if order.then == "another type":
            yield order
    finally:
        (SCRATCH / f"{order.name}.closed").touch()


async def end(ctx, order):
    (SCRATCH / f"{order.name}.begun").touch()
    if order.then == "fail":
        raise RuntimeError("no more")
    if order.then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order.then == "reply":
        await ctx.early_reply(Item(text="soon"))
    if order.then in ("hold", "reply"):
        while not (SCRATCH / order.name).exists():
            await asyncio.sleep(0.01)
    if order.then == "hold":
        await ctx.send(Item(text="held"))


def note(order, what, mark):
    with (SCRATCH / f"{order.name}.{what}").open("a") as file:
        file.write(mark)
