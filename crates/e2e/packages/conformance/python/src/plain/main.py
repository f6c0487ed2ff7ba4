"""Does what the request names, with plain data."""

import json


async def handler(ctx, order):
    if order["act"] == "greet":
        return {"text": f"Hello {order['text']}!"}
    if order["act"] == "back":
        return {"text": order["text"], "blob": order["blob"], "process": order["number"]}
    if order["act"] == "next":
        return {"process": order["number"] + 1}
    if order["act"] == "on":
        return {
            "act": "show",
            "list": [1, {"deep": None}],
            "real": 0.5,
            "large": 2**53 + 1,
            "text": "☃",
        }
    if order["act"] == "show":
        return {"text": json.dumps(order)}
    if order["act"] == "misfit":
        return {"text": 5}
    if order["act"] == "reply":
        await ctx.early_reply({"text": "early"})
        return {"text": "late"}
    raise LookupError(f"there is no act `{order['act']}`")
