"""Answers with what came."""

import asyncio
import os
from pathlib import Path

from pricing import total
from public_input_pb2 import Basket

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    basket = Basket()
    data.Unpack(basket)
    if basket.note == "wait":
        (SCRATCH / "begun").touch()
        await asyncio.Event().wait()
    if basket.note.startswith("fail "):
        raise ValueError(basket.note)
    ctx.logger.info(f"in all {total(basket.items)}")
    return basket
