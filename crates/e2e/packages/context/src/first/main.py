"""Calls the function that the request names; each tries one thing of the context."""

import asyncio
import json
import logging
import os
from pathlib import Path

import effects
from public_input_pb2 import Answer, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def init(ctx):
    ctx.set("from init", 41)
    ctx.set("calls", 0)
    try:
        await ctx.early_reply(Answer())
    except Exception as error:
        ctx.set("early reply in init", str(error))
    await ctx.db.save("starts", {"node": "first"})


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    ctx.set("calls", ctx.get("calls") + 1)
    act = globals().get(order.act) or getattr(effects, order.act)
    text = await act(ctx, order)
    if order.text == "none":
        return None
    return Answer(text=text, trail=["first"], then=order.then)


async def values(ctx, order):
    ctx.set("key", {"any": "object"})
    kept = [ctx.get("from init"), ctx.get("key"), ctx.get("early reply in init")]
    return json.dumps(kept)


async def calls(ctx, order):
    return str(ctx.get("calls"))


async def missing(ctx, order):
    try:
        ctx.get("nowhere")
    except AttributeError as error:
        (SCRATCH / "kind").write_text(type(error).__name__)
        raise


async def path(ctx, order):
    return json.dumps([ctx.path("models/a.bin"), ctx.path("/absolute"), os.getcwd()])


async def logger(ctx, order):
    return json.dumps([isinstance(ctx.logger, logging.Logger), ctx.logger.getEffectiveLevel()])


async def reply(ctx, order):
    """Answers now, then waits for the test before it goes on."""
    await ctx.early_reply(Answer(text="early"))
    await until("go")


async def old_reply(ctx, order):
    await ctx.reply(Answer(text="early, by its old name"))


async def reply_twice(ctx, order):
    await ctx.early_reply(Answer(text="once"))
    try:
        await ctx.early_reply(Answer(text="twice"))
    except Exception as error:
        (SCRATCH / "second reply").write_text(str(error))


async def reply_and_fail(ctx, order):
    await ctx.early_reply(Answer(text="early"))
    raise RuntimeError("after the answer")


async def reply_wrong(ctx, order):
    await ctx.early_reply(order)


async def exit(ctx, order):
    ctx.early_exit()
    return "out"


async def exit_by_other_name(ctx, order):
    ctx.set_early_exit()
    return "out"


async def reply_and_exit(ctx, order):
    await ctx.early_reply(Answer(text="early"))
    ctx.early_exit()
    return "dropped"


async def leave_a_task(ctx, order):
    """Answers, and leaves a task behind that waits for the test before it goes on."""

    async def later():
        await until("go")
        ctx.measurement.save("later", {"n": 1})
        ctx.logger.info("later")

    ctx.set("task", asyncio.create_task(later()))


async def plain(ctx, order):
    return order.text


async def until(name):
    while not (SCRATCH / name).exists():
        await asyncio.sleep(0.01)
