"""Counts its starts; each but those that have leave from the test waits, or ends."""

import asyncio
import os
from pathlib import Path

from public_input_pb2 import Ping

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def init(ctx):
    start = 1 + len(list(SCRATCH.glob("start.*")))
    (SCRATCH / f"start.{start}").touch()
    if start > 1 and (SCRATCH / "crash").exists():
        os._exit(7)
    while not (SCRATCH / "go").exists():
        if start > 1 and (SCRATCH / "crash").exists():
            os._exit(7)
        await asyncio.sleep(0.01)


async def handler(ctx, data):
    ping = Ping()
    data.Unpack(ping)
    if ping.text == "die":
        os._exit(7)
    return ping
