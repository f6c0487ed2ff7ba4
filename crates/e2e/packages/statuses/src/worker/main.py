"""Ends a request in the way that the request names."""

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

from public_input_pb2 import Answer, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def until(name):
    while not (SCRATCH / name).exists():
        await asyncio.sleep(0.01)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


async def answer(order):
    return Answer(text=order.text, process=os.getpid())


async def fail(order):
    raise ValueError(order.text)


async def fail_silently(order):
    raise KeyError


async def none(order):
    return None


async def leave(order):
    sys.exit(order.number)


async def wait(order):
    """Waits for a file, and says that it does by another."""
    (SCRATCH / f"{order.text}.begun").touch()
    try:
        await until(order.text)
    except asyncio.CancelledError:
        (SCRATCH / f"{order.text}.cancelled").touch()
        raise
    return await answer(order)


async def spin(order):
    """Cannot be cancelled."""
    (SCRATCH / f"{order.text}.begun").touch()
    while True:
        pass


async def die(order):
    kill()


async def die_once(order):
    mark = SCRATCH / order.text
    if not mark.exists():
        mark.touch()
        kill()
    return await answer(order)


async def wait_and_die(order):
    await wait(order)
    kill()


async def exit(order):
    os._exit(order.number)


async def crash(order):
    ctypes.string_at(0)


async def large(order):
    return Answer(text="x" * order.number)


async def other_type(order):
    return order


async def no_message(order):
    return {"text": order.text}


async def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    return await globals()[order.way](order)
