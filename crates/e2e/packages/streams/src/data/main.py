"""Streams plain data."""


async def handler(ctx, data):
    for number in range(data["count"]):
        yield {"number": number}
    if data["then"] == "fail":
        raise RuntimeError("no more")
    if data["then"] == "misfit":
        yield {"number": "many"}
