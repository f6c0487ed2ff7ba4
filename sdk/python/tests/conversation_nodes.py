"""The handlers and inits that `protocol/conversations` lists, in Python."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from krt import BatchContext, Context

WHEN = datetime(2024, 2, 29, 12, 30, 15, 250_000)
HANDLERS = {}
INITS = {}

_left = {}
"""The background task of the handler `late`, and the event that releases it."""


def handler(function):
    """Registers a handler under the name of its function."""
    HANDLERS[function.__name__] = function
    return function


def init(name):
    """Registers an init under a name."""

    def keep(function):
        INITS[name] = function
        return function

    return keep


def read(data: Any) -> str:
    """The delivered text."""
    message = StringValue()
    assert data.Unpack(message)
    return message.value


def text(value: str) -> StringValue:
    """An answer."""
    return StringValue(value=value)


@handler
async def echo(ctx: Context, data: Any) -> Message:
    return text(read(data))


@handler
async def same(ctx: Context, data: Any) -> Message:
    return data


@handler
async def error(ctx: Context, data: Any) -> Message:
    raise RuntimeError(read(data))


@handler
async def crash(ctx: Context, data: Any) -> Message:
    empty = []
    return empty[3] if read(data) == "crash" else text(read(data))


@handler
async def none(ctx: Context, data: Any) -> None:
    return None


@handler
async def large(ctx: Context, data: Any) -> Message:
    return text("x" * int(read(data)))


@handler
async def early(ctx: Context, data: Any) -> Message:
    for word in read(data).split():
        if word == "reply":
            await ctx.early_reply(text("early"))
        if word == "exit":
            ctx.early_exit()
    return text("done")


@handler
async def stream(ctx: Context, data: Any) -> Message | None:
    for word in read(data).split():
        if word == "fail":
            raise RuntimeError("no more")
        if word == "last":
            return text("last")
        if word == "reply":
            await ctx.early_reply(text("early"))
        else:
            await ctx.send(text(word))
    return None


@handler
async def plain_stream(ctx: Context, data: dict) -> None:
    for n in range(data["count"]):
        await ctx.send({"n": n + 1})


@handler
async def log(ctx: Context, data: Any) -> Message:
    ctx.logger.debug("debug %s", read(data))
    ctx.logger.info("info %s", read(data))
    ctx.logger.warning("warn %s", read(data))
    ctx.logger.error("error %s", read(data))
    return text(read(data))


@handler
async def late(ctx: Context, data: Any) -> Message:
    async def leave() -> None:
        await _left["release"].wait()
        ctx.logger.info("late")

    if read(data) == "leave":
        _left["release"] = asyncio.Event()
        _left["task"] = asyncio.create_task(leave())
    else:
        _left["release"].set()
        await _left["task"]
    return text(read(data))


@handler
async def measure(ctx: Context, data: Any) -> Message:
    fields = {"count": 3, "price": 0.5, "sold": True, "text": 'a "b" é', "whole": 2.0}
    ctx.measurement.save("estimates", fields, {"kind": "flat"})
    return text(read(data))


@handler
async def measure_badly(ctx: Context, data: Any) -> Message:
    ctx.measurement.save("estimates", {"good": 1, "map": {}, "nan": math.nan}, {})
    ctx.measurement.save("", {"good": 1}, {})
    ctx.measurement.save("empty", {}, {})
    return text(read(data))


@handler
async def save(ctx: Context, data: Any) -> Message:
    await ctx.db.save("things", {"text": read(data)})
    return text(read(data))


@handler
async def save_kinds(ctx: Context, data: Any) -> Message:
    document = {
        "binary": b"\x00\xff",
        "date": WHEN,
        "deep": {"list": [1, 1.0, "1", [], {}]},
        "false": False,
        "infinity": math.inf,
        "large": 2**53 + 1,
        "negative": -1,
        "nothing": None,
        "real": 0.5,
        "text": "é",
        "whole": 2.0,
    }
    await ctx.db.save("kinds", document)
    return text(read(data))


@handler
async def save_nowhere(ctx: Context, data: Any) -> Message:
    await ctx.db.save("", {"n": 1})
    return text(read(data))


@handler
async def copy(ctx: Context, data: Any) -> Message:
    found = await ctx.db.find("things", {"kind": read(data)})
    for document in found:
        await ctx.db.save("copies", document)
    return text(str(len(found)))


@handler
async def find_everything(ctx: Context, data: Any) -> Message:
    await ctx.db.find("things", {})
    return text(read(data))


@handler
async def predict(ctx: Context, data: Any) -> Message:
    await ctx.prediction.save(predicted_value="cat", true_value="dog", utcdate=WHEN)
    return text(read(data))


@handler
async def predict_later(ctx: Context, data: Any) -> Message:
    await ctx.prediction.save_pending("cat", utcdate=WHEN)
    await ctx.prediction.update(read(data), "dog")
    return text(read(data))


@handler
async def predict_wrongly(ctx: Context, data: Any) -> Message:
    for wrong in (
        {"true_value": "dog"},
        {"predicted_value": "cat"},
        {"error": "other"},
    ):
        try:
            await ctx.prediction.save(**wrong)
        except ValueError as refused:
            ctx.logger.error("%s", refused)
    for call in (
        ctx.prediction.save_pending(""),
        ctx.prediction.update("", "dog"),
        ctx.prediction.update("r-1", ""),
    ):
        try:
            await call
        except ValueError as refused:
            ctx.logger.error("%s", refused)
    return text(read(data))


@handler
async def path(ctx: Context, data: Any) -> Message:
    return text(ctx.path(read(data)))


@handler
async def trace(ctx: Context, data: Any) -> Message:
    headers = sorted(ctx.trace_headers().items())
    return text(" ".join(f"{name}={value}" for name, value in headers))


@handler
async def request_id(ctx: Context, data: Any) -> Message:
    return text(ctx.request_id)


@handler
async def deadline(ctx: Context, data: Any) -> Message:
    if read(data) == "reply":
        await ctx.early_reply(text(left_until(ctx.deadline)))
    return text(left_until(ctx.deadline))


def left_until(seconds: float | None) -> str:
    """A word for a deadline."""
    if seconds is None:
        return "none"
    return "left" if seconds > 0 else "past"


@handler
async def metadata(ctx: Context, data: Any) -> Message:
    return text("\n".join(sent(ctx, name) for name in read(data).split()))


def sent(ctx: Context, name: str) -> str:
    """What the client sent under a name, as a line."""
    if name.endswith("-bin"):
        found = ctx.metadata.binary(name)
        return ",".join(value.hex() for value in found) if found else "none"
    value = ctx.metadata.get(name)
    return "none" if value is None else f"{value} ({len(ctx.metadata.all(name))})"


@handler
async def kept(ctx: Context, data: Any) -> Message:
    return text(ctx.get("word"))


@handler
async def wait(ctx: Context, data: Any) -> Message:
    ctx.logger.info("waiting")
    await asyncio.Event().wait()
    return text(read(data))


@handler
async def plain_same(ctx: Context, data: dict) -> dict:
    return data


@handler
async def plain_none(ctx: Context, data: dict) -> None:
    return None


@handler
async def plain_early(ctx: Context, data: dict) -> dict:
    for word in data["do"]:
        if word == "reply":
            await ctx.early_reply({"text": "early"})
        if word == "exit":
            ctx.early_exit()
    return {"text": "done"}


@handler
async def plain_unfit(ctx: Context, data: dict) -> dict:
    price = None if data["what"] == "nothing" else math.nan
    return {"items": [{"price": 1.5}, {"price": price}]}


@handler
async def batch(ctx: BatchContext, data: list) -> list:
    texts = [read(item) for item in data]
    ctx.logger.info("together")
    if "fail" in texts:
        raise RuntimeError("poison")
    return [await act(own, value, len(data)) for own, value in zip(ctx.items, texts[: left(texts)])]


def left(texts: list) -> int:
    """How many of the items are answered."""
    return len(texts) - ("few" in texts)


async def act(ctx: Context, value: str, count: int) -> object:
    """The answer to one item of a batch."""
    if value == "error":
        return RuntimeError("no")
    if value == "none":
        return None
    ctx.logger.info(value)
    if value == "reply":
        await ctx.early_reply(text("early"))
    if value == "exit":
        ctx.early_exit()
    return text(f"{value} of {count}")


@handler
async def batch_wait(ctx: BatchContext, data: list) -> list:
    ctx.logger.info("waiting")
    await asyncio.Event().wait()
    return [text(read(item)) for item in data]


@handler
async def batch_deadline(ctx: BatchContext, data: list) -> list:
    return [text(left_until(own.deadline)) for own in ctx.items]


@handler
async def batch_metadata(ctx: BatchContext, data: list) -> list:
    return [text(sent(own, read(item))) for own, item in zip(ctx.items, data)]


@handler
async def batch_request_id(ctx: BatchContext, data: list) -> list:
    return [text(own.request_id) for own in ctx.items]


@handler
async def plain_batch(ctx: BatchContext, data: list) -> list:
    return [{"n": item["n"] + len(data)} for item in data]


@init("keep")
async def keep_a_word(ctx: Context) -> None:
    ctx.logger.info("in init")
    ctx.set("word", "kept")


@init("save")
async def save_a_start(ctx: Context) -> None:
    await ctx.db.save("starts", {"n": 1})


@init("fail")
async def fail(ctx: Context) -> None:
    raise RuntimeError("no model")


@init("reply")
async def reply(ctx: Context) -> None:
    await ctx.early_reply(text("early"))
