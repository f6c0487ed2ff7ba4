"""Calls the function that the request names; each tries one thing of plain data."""

import json


async def handler(ctx, data):
    return await globals()[data["act"]](ctx, data)


async def greet(ctx, data):
    return {"text": f"Hello {data['name']}!"}


async def back(ctx, data):
    """Everything as it came."""
    return {
        "text": ",".join(sorted(data)),
        **{name: data[name] for name in ("large", "data", "items")},
    }


async def numbers(ctx, data):
    return {
        "whole": 5,
        "real": 0.5,
        "float": 2.0,
        "large": 2**63 - 1,
        "list": [2**53 + 1, {"deep": None}],
        "text": "☃",
    }


async def misfit(ctx, data):
    return {"text": "a", "items": [{"name": "pen"}, {"price": "dear"}]}


async def unknown(ctx, data):
    return {"greeting": "Hello"}


async def no_data(ctx, data):
    return {"text": {1, 2}}


async def no_map(ctx, data):
    return ["a", "list"]


async def too_large(ctx, data):
    return {"deep": [{"number": 10**400}]}


async def names(ctx, data):
    """What came, and an answer with the names of the .proto."""
    text = json.dumps({**data, "more": data["large"] + 1})
    return {"text": text, "room_type": data["room_type"]}


async def other_names(ctx, data):
    return {"roomType": data["room_type"]}


async def reply(ctx, data):
    await ctx.early_reply({"text": "early"})
    return {"text": "late"}


async def reply_misfit(ctx, data):
    await ctx.early_reply({"text": 5})
    return {"text": "late"}


async def leave(ctx, data):
    ctx.early_exit()
    return {"text": "out"}
