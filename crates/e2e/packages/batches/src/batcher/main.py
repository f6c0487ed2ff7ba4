"""Does for each message what its text says, and notes the texts of each call in the file `calls`."""

import asyncio
import os
import signal
from pathlib import Path

from public_input_pb2 import Answer, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    texts = [text_of(item) for item in data]
    with (SCRATCH / "calls").open("a") as calls:
        calls.write(" ".join(texts) + "\n")
    for text in texts:
        if text.startswith("hold"):
            (SCRATCH / f"{text}.begun").touch()
            await file(text)
    if "die" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in texts:
        raise RuntimeError("poison")
    if "short" in texts:
        return []
    return [await answer(text, own, len(data)) for text, own in zip(texts, ctx.items)]


async def answer(text, own, size):
    if text == "error":
        return ValueError("only this one")
    if text == "early":
        await own.early_reply(Answer(text="soon", size=size))
        await file("after")
    own.logger.info("did %s", text)
    own.measurement.save("texts", {"text": text}, {})
    return Answer(text=text, size=size)


async def file(name):
    while not (SCRATCH / name).exists():
        await asyncio.sleep(0.01)


def text_of(item):
    order = Order()
    item.Unpack(order)
    return order.text
