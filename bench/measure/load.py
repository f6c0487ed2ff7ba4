"""Many calls with h2load: one connection per client, one call at a time on each."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import BenchError

_WARM_UP_SECONDS = 0.5
_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s|m|h), ([\d.]+) req/s")
_DATA = re.compile(r"\((\d+)\) data")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Call(Protocol):
    """A call that can be made many times, each with the same answer."""

    @property
    def method(self) -> str:
        """The path of the URL."""

    @property
    def options(self) -> tuple[str, ...]:
        """The options of h2load that the protocol of the call needs."""

    def body(self) -> bytes:
        """The body of the request."""

    def answer_size(self) -> int:
        """The size of the body of the answer in bytes."""


@dataclass(frozen=True)
class Load:
    """The result of one run of h2load."""

    # Answers per second.
    rate: float
    # The median time from a request to the end of its answer, in milliseconds.
    p50: float
    # The duration of the run in seconds.
    seconds: float


def check() -> None:
    """Raises if h2load is missing."""
    if shutil.which("h2load") is None:
        raise BenchError("h2load is not installed\nhint: apt install nghttp2-client")


def warm_up(address: str, call: Call, clients: int) -> float:
    """Makes calls for a moment and returns the calls per second."""
    requests = clients * 8
    while True:
        load = run(address, call, clients, requests)
        if load.seconds >= _WARM_UP_SECONDS:
            return load.rate
        requests *= 4


def run(address: str, call: Call, clients: int, requests: int) -> Load:
    """Makes `requests` calls and checks the size of each answer.

    The size separates errors from answers: over HTTP both have status 200.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(call.body())
        command = ["h2load", "-n", requests, "-c", clients, "-m", 1, "-d", body, *call.options]
        command += ["--log-file", log, f"http://{address}{call.method}"]
        done = subprocess.run(
            [str(word) for word in command], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise BenchError(f"h2load failed\n{done.stdout}{done.stderr}")
        check_answers(done.stdout, call, requests)
        return parse(done.stdout, log.read_text())


def check_answers(report: str, call: Call, requests: int) -> None:
    """Raises unless the report shows the expected number and size of answers."""
    data = _DATA.search(report)
    expected = requests * call.answer_size()
    if f" {requests} succeeded, 0 failed" not in report or data is None:
        raise BenchError(f"some calls of {call.method} failed\n{report}")
    if int(data[1]) != expected:
        raise BenchError(
            f"{requests} answers of {call.method} have {data[1]} bytes, not {expected}\n"
            "hint: some are errors; the server's log says which"
        )


def parse(report: str, log: str) -> Load:
    """Parses h2load's report, and its log with a line per call."""
    finished = _FINISHED.search(report)
    if finished is None:
        raise BenchError(f"the report of h2load is of an unknown form\n{report}")
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    return Load(
        rate=float(finished[3]),
        p50=times[len(times) // 2] / 1000,
        seconds=float(finished[1]) * _SECONDS[finished[2]],
    )
