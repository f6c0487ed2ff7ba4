"""Many streams at a time with `krt bench`: h2load does not time the messages of an answer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import BenchError, servers
from .options import Options

if TYPE_CHECKING:
    from .calls import Stream


@dataclass(frozen=True)
class StreamLoad:
    """The result of one run of `krt bench`."""

    # Messages of all streams per second.
    rate: float
    # The median time from a request to the first message of its answer, in milliseconds.
    first: float


def run(options: Options, address: str, stream: Stream, clients: int, seconds: float) -> StreamLoad:
    """Makes calls for about `seconds`, and checks the number of messages of their answers."""
    command = [servers.binary(options, "krt"), "bench", stream.method.strip("/")]
    command += [stream.json(), "--address", address, "--json"]
    command += ["--clients", str(clients), "--duration", f"{seconds}s", "--warmup", "500ms"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"krt bench failed\n{done.stdout}{done.stderr}")
    return parse(json.loads(done.stdout), len(stream.answers))


def parse(report: dict[str, Any], messages: int) -> StreamLoad:
    """Parses the report of `krt bench`. Raises unless each stream has had so many messages."""
    figures = report["servers"][0]
    received = figures["messages_per_second"] * figures["seconds"]
    expected = figures["answered"] * messages
    if round(received) != expected:
        raise BenchError(f"the streams had {received:.0f} messages, not {expected}")
    medians = [
        one["ms"] for one in figures["first_message"]["percentiles"] if one["percentile"] == 50
    ]
    return StreamLoad(rate=figures["messages_per_second"], first=medians[0])
