"""Answers with what came; the messages' modules are made, and Python code uses them by name."""

import asyncio
import os
from pathlib import Path

from public_input_pb2 import Basket
from types_of_money import cents

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    basket = Basket()
    data.Unpack(basket)
    if basket.note == "never":
        (SCRATCH / "begun").touch()
        await asyncio.Event().wait()
    if basket.note.startswith("fail: "):
        raise ValueError(basket.note)
    ctx.logger.info(f"{cents(basket)} cents")
    return basket
