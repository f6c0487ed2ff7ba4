#!/usr/bin/env python3
"""Measures a worker alone: what one delivery costs it, without the engine around it.

    bench_worker.py [--python PATH] [--calls N] [--only NAME]

The given Python needs only `protobuf`. For each case the script prints the worker's processor time
per call in microseconds (user and system time without the start), the calls per second, and the
worker's resident memory after READY and at the end. The load comes from this process, so with fewer
than two free cores the rate is too low; the processor time is still correct.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

WORKER = Path(__file__).parent / "src" / "krt" / "__main__.py"
HELLO, DELIVER, STOP = 1, 2, 7
READY, RESULT = 64, 66
TEXT = b"a line of some forty characters or so..."
# An Any that holds a StringValue of TEXT.
URL = b"type.googleapis.com/google.protobuf.StringValue"
VALUE = b"\x0a" + bytes([len(TEXT)]) + TEXT
PAYLOAD = b"\x0a" + bytes([len(URL)]) + URL + b"\x12" + bytes([len(VALUE)]) + VALUE

ECHO = """
from google.protobuf.wrappers_pb2 import StringValue
async def handler(ctx, data):
    request = StringValue()
    data.Unpack(request)
    return request
"""
PLAIN = ECHO.replace("async def", "def")
LOGS = ECHO.replace("    return", "    ctx.logger.info('handled %s', request.value)\n    return")
PRINTS = ECHO.replace("    return", "    print('handled', request.value)\n    return")
MEASURES = ECHO.replace(
    "    return",
    "    ctx.measurement.save('calls', {'size': 1, 'kind': 'a'}, {'x': 'y'})\n    return",
)
SUSPENDS = "import asyncio\n" + ECHO.replace("    return", "    await asyncio.sleep(0)\n    return")
PASSES = "async def handler(ctx, data):\n    return data\n"


@dataclass(frozen=True)
class Case:
    """A case to measure."""

    name: str
    code: str
    ahead: int
    share: float = 1.0
    concurrency: int = 1


CASES = (
    Case("pass on, one by one", PASSES, 1),
    Case("pass on, 16 ahead", PASSES, 16),
    Case("echo, one by one", ECHO, 1),
    Case("echo, 16 ahead", ECHO, 16),
    Case("echo, 16 at a time", ECHO, 16, concurrency=16),
    Case("echo that suspends, one by one", SUSPENDS, 1, 0.3),
    Case("echo that suspends, 16 at a time", SUSPENDS, 16, 0.3, concurrency=16),
    Case("echo and a log, 16 ahead", LOGS, 16, 0.3),
    Case("echo and a print, 16 ahead", PRINTS, 16, 0.3),
    Case("echo and a measurement, 16 ahead", MEASURES, 16, 0.3),
    Case("plain def, one by one", PLAIN, 1, 0.2),
)


def frame(kind: int, number: int, body: bytes) -> bytes:
    """One frame."""
    return struct.pack("<IBI", 5 + len(body), kind, number) + body


class Worker:
    """A measured worker."""

    def __init__(self, python: str, case: Case, handler: Path) -> None:
        handler.write_text(case.code)
        self._sock, theirs = socket.socketpair()
        environment = {**os.environ, "KRT_NODE_PROTOCOL": "1"}
        self.process = subprocess.Popen(
            [python, str(WORKER)], stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environment
        )
        theirs.close()
        self._data = bytearray()
        self._number = 0
        hello = {
            "protocol": 1,
            "node": "bench",
            "version": "v1",
            "version_id": "1",
            "runtime": "rt",
            "workflows": ["bench"],
            "base_path": str(handler.parent),
            "handler_path": str(handler),
            "concurrency": case.concurrency,
            "max_frame": 4 << 20,
            "max_message": 1 << 20,
            "log_level": "INFO",
            "descriptors": "",
        }
        self._sock.sendall(frame(HELLO, 0, json.dumps(hello).encode()))
        self._count(READY, 1)

    def ask(self, many: int) -> None:
        """Delivers messages, and reads until all are answered."""
        frames = bytearray()
        for _ in range(many):
            self._number = self._number % 0xFFFFFFFF + 1
            head = struct.pack("<BHBH", 0, 0, 8, 0) + b"12345678"
            frames += frame(DELIVER, self._number, head + PAYLOAD)
        self._sock.sendall(frames)
        self._count(RESULT, many)

    def stop(self) -> None:
        """Stops the worker."""
        self._sock.sendall(frame(STOP, 0, b""))
        self.process.wait(20)
        self._sock.close()

    def _count(self, kind: int, many: int) -> None:
        data = self._data
        while many:
            received = self._sock.recv(65536)
            if not received:
                raise SystemExit("the worker has ended")
            data += received
            position = 0
            while len(data) - position >= 5:
                size = int.from_bytes(data[position : position + 4], "little")
                if position + 4 + size > len(data):
                    break
                many -= data[position + 4] == kind
                position += 4 + size
            del data[:position]

    def processor_seconds(self) -> float:
        """User and system time until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory, in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(python: str, case: Case, calls: int, folder: Path) -> None:
    """Measures one case and prints its line."""
    begun = perf_counter()
    worker = Worker(python, case, folder / "main.py")
    started = perf_counter() - begun
    at_start = worker.memory()
    rounds = max(int(calls * case.share) // case.ahead, 1)
    for _ in range(max(rounds // 20, 1)):
        worker.ask(case.ahead)
    processor, clock = worker.processor_seconds(), perf_counter()
    for _ in range(rounds):
        worker.ask(case.ahead)
    spent, took = worker.processor_seconds() - processor, perf_counter() - clock
    done = rounds * case.ahead
    sys.stdout.write(
        f"{case.name:34} {spent / done * 1e6:6.1f} µs/call {done / took:9,.0f} calls/s "
        f"ready {started * 1000:4.0f} ms, {at_start:4.1f} MiB -> {worker.memory():4.1f} MiB\n"
    )
    sys.stdout.flush()
    worker.stop()


def main() -> None:
    """Measures each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if options.only in case.name:
                measure(options.python, case, options.calls, Path(folder))


if __name__ == "__main__":
    main()
