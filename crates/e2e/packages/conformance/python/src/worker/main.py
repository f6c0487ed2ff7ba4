"""Does what the request names; each act tries one thing of the context, or one way to end."""

import json
import os

import effects
import ends
from public_input_pb2 import Answer, Order
from worker import answer, on


async def init(ctx):
    ctx.set("from init", 41)
    ctx.set("calls", 0)
    ctx.set("ratio", 0.5)
    try:
        await ctx.early_reply(Answer())
    except Exception as error:
        ctx.set("reply in init", str(error))
    await ctx.db.save("starts", {"node": "worker"})
    if os.environ.get("FAIL_INIT"):
        raise FileNotFoundError("no model at " + ctx.path("models/none.bin"))


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    for module in (values, effects.acts, ends.acts):
        if order.act in module:
            return await module[order.act](ctx, order)
    raise LookupError(f"there is no act `{order.act}`")


async def kept(ctx, order):
    ctx.set("key", "text")
    return listed(*(ctx.get(key) for key in ("from init", "key", "ratio", "reply in init")))


async def calls(ctx, order):
    ctx.set("calls", ctx.get("calls") + 1)
    return answer(str(ctx.get("calls")))


async def missing(ctx, order):
    try:
        ctx.get("nowhere")
    except AttributeError as error:
        return answer(str(error))


async def path(ctx, order):
    return listed(ctx.path("models/a.bin"), os.getcwd())


async def request(ctx, order):
    ctx.logger.info("asked for the request")
    return answer(ctx.request_id)


async def deadline(ctx, order):
    if order.text == "reply":
        await ctx.early_reply(answer(""))
        ctx.logger.info("after the reply: %s", ctx.deadline)
    return listed(ctx.deadline)


async def metadata(ctx, order):
    sent = ctx.metadata
    return listed(sent.get("x-tenant"), [key.hex() for key in sent.binary("x-key-bin")], sent.get("x-other"))


async def environment(ctx, order):
    return answer(os.environ.get(order.text, ""))


async def stdin(ctx, order):
    return answer(str(len(os.read(0, 1))))


async def echo(ctx, order):
    made = on(order, order.text)
    made.blob = order.blob
    return made


def listed(*values):
    """An answer with values as JSON."""
    return answer(json.dumps(values))


values = {
    "values": kept,
    "calls": calls,
    "missing": missing,
    "path": path,
    "request": request,
    "deadline": deadline,
    "metadata": metadata,
    "environment": environment,
    "stdin": stdin,
    "echo": echo,
}
