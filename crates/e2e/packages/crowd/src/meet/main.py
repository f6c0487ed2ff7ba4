"""Waits until another process is at work, too."""

import asyncio
import os
from pathlib import Path

from public_input_pb2 import Count, Visit

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    visit = Visit()
    data.Unpack(visit)
    (SCRATCH / f"{os.getpid()}.met").touch()
    while len(list(SCRATCH.glob("*.met"))) < 2:
        await asyncio.sleep(0.01)
    return Count(number=visit.number, process=os.getpid())
