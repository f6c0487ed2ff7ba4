"""The shared part of all stand-ins: environment, connection, exit.

A stand-in prints `ready` once it receives messages, and exits cleanly when its standard input
closes. It exits at once with an error when it chokes.
"""

import asyncio
import logging
import os
import sys
import time
import traceback
import urllib.parse

import nats

# The log format of the runners: `2024-01-01T00:00:00.123Z LEVEL message`.
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
    """Returns an environment variable that must be set; it may be empty."""
    if name not in os.environ:
        raise SystemExit(f"{name} is not set")
    return os.environ[name]


def present(name):
    """Returns an environment variable that must not be empty."""
    value = variable(name)
    if not value:
        raise SystemExit(f"{name} is empty")
    return value


def server(name, *schemes):
    """Returns the URI of a server from a variable. Clients refuse one without its scheme."""
    value = present(name)
    if not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise SystemExit(f"{name} is no URI of {' or '.join(schemes)}: '{value}'")
    return value


def mongo_server():
    """Returns the URI of the document store."""
    return server("KRT_MONGO_URI", "mongodb", "mongodb+srv")


def influx_endpoint():
    """Returns the URL for measurements: the client adds its path to any URI."""
    endpoint = urllib.parse.urlsplit(server("KRT_INFLUX_URI", "http", "https") + "/api/v2/write")
    if not endpoint.path.endswith("/api/v2/write"):
        raise SystemExit("KRT_INFLUX_URI has more than a path")
    return endpoint.geturl()


def choke():
    """Ends the process at once with the current error."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


async def connect(name):
    """Connects to KRT_NATS_SERVER, and survives the server's absence."""

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
    """Reports that the stand-in receives messages."""
    print("ready", flush=True)


async def line():
    """Returns the next line of standard input; empty at its end."""
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
