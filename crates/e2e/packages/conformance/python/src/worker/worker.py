"""What acts share."""

import asyncio
import os
from pathlib import Path

from public_input_pb2 import Answer

SCRATCH = Path(os.environ["E2E_SCRATCH"])


def answer(text):
    return Answer(text=text, trail=["worker"], process=os.getpid())


def on(order, text):
    """An answer that tells the last node what to do."""
    made = answer(text)
    made.then = order.then
    return made


def put(name, text=""):
    (SCRATCH / name).write_text(text)


async def until(name):
    while not (SCRATCH / name).exists():
        await asyncio.sleep(0.005)
