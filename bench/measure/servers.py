"""Starts and stops the measured servers. Each listens on a free port of the loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import BenchError
from .environment import BENCH, GENERATED, WORK
from .options import Options

# The first start may install packages.
_READY_SECONDS = 180
_STOP_SECONDS = 15
_LISTENING = re.compile(r"listening on (?:http://)?(127\.0\.0\.1:\d+)")
_NATS_LISTENING = re.compile(r"Listening for client connections on (127\.0\.0\.1:\d+)")
# Debian installs servers in folders that only the superuser's PATH contains.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


@dataclass(frozen=True)
class Server:
    """A listening server."""

    name: str
    address: str
    pid: int


def binary(options: Options, name: str) -> Path:
    """The path of a program that `make bench` builds."""
    path = options.binaries / name
    if not path.is_file():
        raise BenchError(f"`{path}` does not exist\nhint: make bench builds it")
    return path


@contextmanager
def grpc_aio() -> Iterator[Server]:
    """The reference in Python."""
    script = BENCH / "reference/grpc_aio.py"
    with _serve("grpc.aio", [sys.executable, "-B", script, GENERATED]) as server:
        yield server


@contextmanager
def tonic_echo(options: Options) -> Iterator[Server]:
    """The reference in Rust."""
    with _serve("tonic echo", [binary(options, "krt-bench-echo")]) as server:
        yield server


@contextmanager
def entrypoint(options: Options) -> Iterator[Server]:
    """Our entrypoint without workers."""
    with _serve("entrypoint", [binary(options, "krt-bench-entry")]) as server:
        yield server


def has_nats() -> bool:
    """Whether a NATS server is installed."""
    return shutil.which("nats-server", path=_PATH) is not None


@contextmanager
def nats() -> Iterator[Server]:
    """A NATS server with its default configuration."""
    program = shutil.which("nats-server", path=_PATH)
    if program is None:
        raise BenchError("nats-server is not installed\nhint: apt install nats-server")
    command: list[str | Path] = [program, "--addr", "127.0.0.1", "--port", "-1"]
    with _serve("nats-server", command, _NATS_LISTENING) as server:
        yield server


def raw_nats(options: Options, url: str, seconds: float) -> dict[str, float]:
    """Measures requests over NATS without KRT; returns medians in milliseconds."""
    command = [binary(options, "krt-bench-nats"), url, str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"krt-bench-nats failed\n{done.stderr}")
    return dict(json.loads(done.stdout))


@contextmanager
def krt(
    options: Options,
    package: str | Path,
    data: str | None = None,
    nats: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """`krt run` of a package beside this driver, with all features on.

    `nats` is the URL of the server that connects its parts, if any.
    """
    folder = WORK / "data" / (data or package)
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [binary(options, "krt"), "run", BENCH / package]
    command += ["--listen", "127.0.0.1:0", "--data", folder, "--log-format", "json"]
    if nats is not None:
        command += ["--nats", nats]
    with _serve("krt", command, environment=environment) as server:
        yield server


@contextmanager
def listening(
    name: str, command: list[str], address: str, environment: Mapping[str, str]
) -> Iterator[Server]:
    """A server of others, which will listen on an address."""
    with _running(name, command, environment) as (process, _):
        yield Server(name, address, process.pid)


def forget_data() -> None:
    """Removes the data of earlier measurements from the stores."""
    shutil.rmtree(WORK / "data", ignore_errors=True)


@contextmanager
def _serve(
    name: str,
    command: list[str | Path],
    listening: re.Pattern[str] = _LISTENING,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    with _running(name, command, environment) as (process, log):
        yield Server(name, _address(name, process, log, listening), process.pid)


@contextmanager
def _running(
    name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = WORK / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process, log
    finally:
        _stop(name, process)


def _address(
    name: str, process: subprocess.Popen[bytes], log: Path, listening: re.Pattern[str]
) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        written = log.read_text(errors="replace")
        if found := listening.search(written):
            return found[1]
        if ended:
            raise BenchError(f"{name} ended with status {process.returncode}\n{written[-2000:]}")
        time.sleep(0.001)
    raise BenchError(f"{name} does not listen after {_READY_SECONDS} s\nhint: see {log}")


def _stop(name: str, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"warning: {name} did not stop within {_STOP_SECONDS} s", file=sys.stderr)
    # Servers of others may leave processes behind.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
