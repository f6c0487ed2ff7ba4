"""Writes down what was done, a line for each."""

import os

from public_input_pb2 import Work


def init(ctx):
    path = os.path.join(os.environ["E2E_SCRATCH"], f"done-{os.getpid()}-{os.urandom(4).hex()}")
    ctx.set("done", open(path, "ab", buffering=0))


async def handler(ctx, data):
    work = Work()
    data.Unpack(work)
    ctx.get("done").write(f"{work.text}\n".encode())
    return Work(text=f"{work.text} done")
