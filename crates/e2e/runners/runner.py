"""What all stand-ins share: the environment, the connection, the end.

A stand-in says `ready` on standard output when it hears what is sent to it, and ends well when its
standard input does. It ends badly, at once, when it chokes.
"""

import asyncio
import logging
import os
import sys
import time
import traceback

import nats

# As runners write them: `2024-01-01T00:00:00.123Z LEVEL message`.
logging.Formatter.converter = time.gmtime
logging.basicConfig(
    stream=sys.stderr,
    level=logging.INFO,
    format="%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s",
    datefmt="%Y-%m-%dT%H:%M:%S",
)
logging.addLevelName(logging.WARNING, "WARN")
LOGGER = logging.getLogger("runner")


def variable(name):
    """An environment variable that must be there; it may be empty."""
    if name not in os.environ:
        raise SystemExit(f"{name} is not set")
    return os.environ[name]


def present(name):
    """An environment variable that must say something."""
    value = variable(name)
    if not value:
        raise SystemExit(f"{name} is empty")
    return value


def choke():
    """Ends badly, at once, with the error that is being handled."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


async def connect(name):
    """A connection to KRT_NATS_SERVER that outlives the server's absence."""

    async def say(error):
        LOGGER.error("NATS: %r", error)

    return await nats.connect(
        present("KRT_NATS_SERVER"),
        name=name,
        error_cb=say,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
    )


def ready():
    """Says that messages are heard from now on."""
    print("ready", flush=True)


async def line():
    """The next line of standard input; empty at its end."""
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
