"""Adds itself to the trail."""

import os
from pathlib import Path

from public_input_pb2 import Answer


async def handler(ctx, data):
    answer = Answer()
    data.Unpack(answer)
    (Path(os.environ["E2E_SCRATCH"]) / "last ran").touch()
    if answer.then == "none":
        return None
    if answer.then == "fail":
        raise RuntimeError("in the background")
    if answer.then == "reply":
        await ctx.early_reply(Answer(text="late"))
    answer.trail.append("last")
    return answer
