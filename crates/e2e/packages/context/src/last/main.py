"""Adds itself to the trail."""

import os
from pathlib import Path

from public_input_pb2 import Answer

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    answer = Answer()
    data.Unpack(answer)
    (SCRATCH / "last ran").touch()
    if answer.then == "none":
        return None
    if answer.then == "reply":
        await ctx.early_reply(Answer(text="late"))
    if answer.then == "fail":
        raise RuntimeError("in the background")
    answer.trail.append("last")
    return answer
