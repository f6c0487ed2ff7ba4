"""Runs the code that the test sends, as the body of a coroutine.

What it returns goes on as JSON; a message and `None` go on as they are.
"""

import asyncio
import json
import logging
import os
import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path

import public_input_pb2
from google.protobuf.message import Message
from public_input_pb2 import Note

NODE = os.environ["KRT_NODE_NAME"]
KNOWN = {
    "asyncio": asyncio,
    "datetime": datetime,
    "logging": logging,
    "messages": public_input_pb2,
    "os": os,
    "scratch": Path(os.environ["E2E_SCRATCH"]),
    "timedelta": timedelta,
    "timezone": timezone,
}


async def run(code, ctx, data=None):
    scope = {**KNOWN, "ctx": ctx, "data": data, "raised_by": raised_by}
    exec("async def body():\n" + textwrap.indent(textwrap.dedent(code), "    "), scope)
    return await scope["body"]()


async def raised_by(awaitable):
    """The kind and the text of what is raised."""
    try:
        return ["nothing", repr(await awaitable)]
    except Exception as error:
        return [type(error).__name__, str(error)]


async def init(ctx):
    ctx.set("from init", await run(os.environ.get("SCRIPT_INIT", "pass"), ctx))


async def handler(ctx, data):
    note = Note()
    data.Unpack(note)
    code, *rest = note.code or ["return 'nothing to do'"]
    made = await run(code, ctx, data)
    if made is None or isinstance(made, Message):
        return made
    return Note(code=rest, text=json.dumps(made), trail=[*note.trail, NODE])
