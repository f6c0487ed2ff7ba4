"""Every way in which a request can end."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from worker import SCRATCH, answer, put, until


async def fail(ctx, order):
    raise ValueError(order.text)


async def panic(ctx, order):
    raise RuntimeError(order.text)


async def leave(ctx, order):
    sys.exit(3)


async def none(ctx, order):
    return None


async def large(ctx, order):
    return answer("x" * order.number)


async def other_type(ctx, order):
    return order


async def exit_process(ctx, order):
    os._exit(order.number)


async def abort(ctx, order):
    os.abort()


async def die(ctx, order):
    os.kill(os.getpid(), signal.SIGKILL)


async def die_once(ctx, order):
    if not (SCRATCH / order.text).exists():
        put(order.text)
        await die(ctx, order)
    return answer(order.text)


async def wait(ctx, order):
    """Waits for a file, and says that it does by another."""
    put(order.text + ".begun")
    await until(order.text)
    return answer(order.text)


async def block(ctx, order):
    """Waits for the same, and lets nothing else of the process run."""
    put(order.text + ".begun")
    while not (SCRATCH / order.text).exists():
        time.sleep(0.005)
    return answer(order.text)


async def watch(ctx, order):
    """Waits for the same, and notes when nobody waits any more."""
    put(order.text + ".begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        put(order.text + ".cancelled")
        raise
    return answer(order.text)


async def child(ctx, order):
    """Starts a program that sends itself a signal, and tells which one has ended it."""
    ended = subprocess.call(["sh", "-c", f"kill -{order.text} $$; exit 7"])
    return answer(str(-ended))


async def stream(ctx, order):
    for number in range(order.number):
        await ctx.send(answer(str(number)))
    if order.text == "fail":
        raise RuntimeError("no more")
    return answer(order.text) if order.text else None


acts = {
    "fail": fail,
    "panic": panic,
    "sys_exit": leave,
    "none": none,
    "large": large,
    "other_type": other_type,
    "exit_process": exit_process,
    "abort": abort,
    "die": die,
    "die_once": die_once,
    "wait": wait,
    "block": block,
    "watch": watch,
    "child": child,
    "stream": stream,
}
