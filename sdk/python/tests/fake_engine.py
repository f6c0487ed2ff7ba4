"""A strict engine for tests, which starts a real worker and speaks the protocol with it.

It follows `protocol/README.md` alone and shares no code with the SDK. A frame that violates the
protocol fails the test, and so does a delivery without its one RESULT.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Callable, NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

SOURCE = Path(__file__).parents[1] / "src"
PATIENCE = 20.0

HELLO, DELIVER, CANCEL, DONE, DOCUMENT, FAILED, STOP, CREDIT = range(1, 9)
READY, BROKEN, RESULT, EARLY_REPLY, LOG, MEASUREMENT, SAVE, FIND, MESSAGE = range(64, 73)
ANSWER, NONE, ERROR, CANCELLED, TOO_LARGE = range(5)
MORE = WHOLE = 0b10
STREAM = 0b100


class Result(NamedTuple):
    """One RESULT."""

    id: int
    status: int
    early_exit: bool
    start: int
    end: int
    last: bytes
    whole: bool = False

    @property
    def error(self) -> str:
        assert self.status == ERROR, self
        return self.last.decode()

    @property
    def too_large(self) -> int:
        """The size of the message above the limit, in bytes."""
        assert self.status == TOO_LARGE, self
        (size,) = struct.unpack("<Q", self.last)
        return int(size)

    @property
    def answer(self) -> AnyMessage:
        assert self.status == ANSWER, self
        return AnyMessage.FromString(self.last)

    @property
    def text(self) -> str:
        """The answer, a `StringValue`."""
        value = StringValue()
        assert self.answer.Unpack(value), self
        return value.value


class Log(NamedTuple):
    """One LOG."""

    delivery: int
    level: int
    time: int
    text: str


class Call(NamedTuple):
    """One SAVE or FIND."""

    id: int
    kind: int
    body: dict[str, Any]


@dataclass
class Seen:
    """The frames from the worker, except RESULTs."""

    logs: list[Log] = field(default_factory=list)
    measurements: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    replies: list[tuple[int, AnyMessage]] = field(default_factory=list)
    messages: list[tuple[int, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    broken: str | None = None
    ready: dict[str, Any] | None = None

    def sent(self, number: int) -> list[str]:
        """The texts of a stream's messages, each a `StringValue`."""
        return [_text(message) for of, message in self.messages if of == number]

    def texts(self, level: int | None = None) -> list[str]:
        return [log.text for log in self.logs if level in (None, log.level)]


class Engine:
    """The engine's side of one worker."""

    def __init__(
        self,
        hello: dict[str, Any],
        *,
        arguments: list[str] | None = None,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
        forks: bool = False,
    ) -> None:
        self._sock, theirs = socket.socketpair()
        self._begin(hello)
        self.requests: socket.socket | None = None
        """Asks for forks."""
        inherited: list[socket.socket] = []
        if forks:
            self.requests, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            environment = {"KRT_FORKS": str(asked.fileno()), **(environment or {})}
            inherited.append(asked)
        self._lifeline_read, self.lifeline = os.pipe()
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        group: dict[str, Any] = (
            {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
        )
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, *(arguments or [str(SOURCE / "krt" / "__main__.py")])],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[self._lifeline_read, *(sock.fileno() for sock in inherited)],
            cwd=folder,
            env={
                **variables,
                "KRT_NODE_PROTOCOL": "1",
                "KRT_LIFELINE": str(self._lifeline_read),
                **(environment or {}),
            },
            **group,
        )
        theirs.close()
        os.close(self._lifeline_read)
        for sock in inherited:
            sock.close()
        self.send(HELLO, 0, json.dumps(hello).encode())

    def _begin(self, hello: dict[str, Any]) -> None:
        self.hello = hello
        self.seen = Seen()
        self.results: dict[int, Result] = {}
        self.order: list[int] = []
        self.on_call: Callable[[Call], None] = self._refuse
        self._open: list[int] = []
        self._unpaid: dict[int, list[int]] = {}
        """The messages and bytes of each stream that have no credit yet."""
        self._last = 0
        self._data = bytearray()
        self._stopped = False

    # Frames from the engine.

    def send(self, kind: int, number: int, body: bytes = b"") -> None:
        """Sends any frame."""
        self._send(frame(kind, number, body))

    def deliver(
        self, message: Message | str | dict[str, Any], *, replied: bool = False, workflow: int = 0
    ) -> int:
        """Delivers a message, a text as `StringValue` or plain data, and returns the id."""
        return self.deliver_many([message], replied=replied, workflow=workflow)[0]

    def deliver_many(
        self, messages: list[Any], *, replied: bool = False, workflow: int = 0
    ) -> list[int]:
        """Delivers messages with one write."""
        frames = bytearray()
        numbers = []
        for message in messages:
            self._last += 1
            numbers.append(self._last)
            frames += frame(DELIVER, self._last, delivery_body(message, replied, workflow))
        self._open += numbers
        self._send(frames)
        return numbers

    def deliver_batch(self, messages: list[Any], *, replied: bool = False) -> list[int]:
        """Delivers a batch with one write."""
        frames = bytearray()
        numbers = []
        for left, message in zip(range(len(messages) - 1, -1, -1), messages):
            self._last += 1
            numbers.append(self._last)
            flags = (MORE if left else 0) | replied
            frames += frame(DELIVER, self._last, delivery_body(message, flags, 0))
        self._open += numbers
        self._send(frames)
        return numbers

    def ask_batch(self, messages: list[Any]) -> list[Result]:
        """Delivers a batch and waits for its RESULTs."""
        return [self.result(number) for number in self.deliver_batch(messages)]

    def deliver_stream(self, message: Message | str | dict[str, Any], flags: int = 0) -> int:
        """Delivers a message whose answer is a stream."""
        self._last += 1
        self._open.append(self._last)
        self._unpaid[self._last] = [0, 0]
        body = delivery_body(message, STREAM | flags, 0)
        self._send(frame(DELIVER, self._last, body))
        return self._last

    def credit(self, number: int, messages: int, size: int) -> None:
        """Tells the worker that the client has taken something."""
        self._unpaid[number][0] -= messages
        self._unpaid[number][1] -= size
        self.send(CREDIT, number, struct.pack("<IQ", messages, size))

    def cancel(self, number: int) -> None:
        """Cancels a delivery."""
        self.send(CANCEL, number)

    # Frames from the worker.

    def start(self) -> dict[str, Any]:
        """Waits for READY."""
        self._until(lambda: self.seen.ready is not None)
        assert self.seen.ready is not None
        return self.seen.ready

    def result(self, number: int) -> Result:
        """Waits for the RESULT of a delivery."""
        self._until(lambda: number in self.results)
        return self.results[number]

    def ask(self, message: Message | str | dict[str, Any], **options: Any) -> Result:
        """Delivers a message and waits for its RESULT."""
        return self.result(self.deliver(message, **options))

    def wait_for(self, condition: Callable[[Seen], Any]) -> None:
        """Reads until the condition holds."""
        self._until(lambda: bool(condition(self.seen)))

    def broken(self) -> str:
        """Waits for BROKEN and the exit after it."""
        self._until(lambda: self.seen.broken is not None)
        assert self.process.wait(PATIENCE) == 1
        assert self.seen.broken is not None
        return self.seen.broken

    def stop(self) -> int:
        """Sends STOP, reads the remaining frames, and returns the exit status."""
        self.send(STOP, 0)
        return self.drain()

    def drain(self) -> int:
        """Reads until the worker exits, and returns its exit status."""
        while self._read():
            pass
        assert not self._open, f"deliveries without a RESULT: {self._open}"
        return self.process.wait(PATIENCE)

    def hang_up(self) -> None:
        """Closes the socket without a STOP."""
        self._open.clear()
        self._sock.close()

    def obstacle(self) -> str | None:
        """Sends STOP and waits for the report of whether workers can be forked."""
        assert self.requests is not None
        self.send(STOP, 0)
        self.requests.settimeout(PATIENCE)
        report = json.loads(self.requests.recv(1 << 16))
        assert set(report) == {"obstacle"}
        obstacle: str | None = report["obstacle"]
        return obstacle

    def fork(self) -> Forked:
        """Forks a worker and waits until it is ready."""
        return Forked(self)

    def close(self) -> None:
        """Ends the remaining processes of a test."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self._sock.close()
        if self.requests is not None:
            self.requests.close()
        if self.lifeline >= 0:
            os.close(self.lifeline)

    def stderr(self) -> str:
        """The standard error of the ended worker."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def stdout(self) -> str:
        """The standard output of the ended worker."""
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def _send(self, data: bytes | bytearray) -> None:
        """Writes and reads concurrently: a worker stops reading if its own output is not read."""
        rest = memoryview(data)
        while rest:
            readable, writable, _ = select.select([self._sock], [self._sock], [], PATIENCE)
            assert readable or writable, "the worker neither reads nor writes"
            if writable:
                rest = rest[self._sock.send(rest, socket.MSG_DONTWAIT) :]
            if readable and not self._read():
                return

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self._read(), f"the worker has ended: {self._post_mortem()}"

    def _post_mortem(self) -> str:
        status = self.process.wait(PATIENCE)
        return f"status {status}, stderr {self.stderr()!r}, seen {self.seen}"

    def _read(self) -> bool:
        """Processes the next bytes; returns false at the end."""
        deadline = monotonic() + PATIENCE
        while not select.select([self._sock], [], [], max(deadline - monotonic(), 0))[0]:
            assert monotonic() < deadline, f"the worker says nothing; seen: {self.seen}"
        try:
            data = self._sock.recv(1 << 20)
        except ConnectionResetError:
            return False
        if not data:
            assert not self._data, "the worker ended inside a frame"
            return False
        self._data += data
        while len(self._data) >= 4:
            size = int.from_bytes(self._data[:4], "little")
            assert 5 <= size <= self.hello["max_frame"], f"a frame has the size {size}"
            if len(self._data) < 4 + size:
                break
            kind, number = struct.unpack_from("<BI", self._data, 4)
            body = bytes(self._data[9 : 4 + size])
            del self._data[: 4 + size]
            self._take(kind, number, body)
        return True

    def _take(self, kind: int, number: int, body: bytes) -> None:
        takers: dict[int, Callable[[int, bytes], None]] = {
            READY: self._take_ready,
            BROKEN: self._take_broken,
            RESULT: self._take_result,
            EARLY_REPLY: self._take_reply,
            MESSAGE: self._take_message,
            LOG: self._take_log,
            MEASUREMENT: self._take_measurement,
            SAVE: self._take_save,
            FIND: self._take_find,
        }
        assert kind in takers, f"a worker sends no frame of the kind {kind}"
        takers[kind](number, body)

    def _take_ready(self, number: int, body: bytes) -> None:
        assert number == 0
        assert self.seen.ready is None, "a second READY"
        self.seen.ready = json.loads(body)

    def _take_broken(self, number: int, body: bytes) -> None:
        assert number == 0
        assert self.seen.ready is None, "BROKEN after READY"
        self.seen.broken = body.decode()

    def _take_result(self, number: int, body: bytes) -> None:
        assert number in self._open, f"a RESULT for {number}, which is not in flight"
        self._open.remove(number)
        status, flags, start, end = struct.unpack_from("<BBQQ", body)
        last = body[18:]
        assert status in (ANSWER, NONE, ERROR, CANCELLED, TOO_LARGE)
        assert flags in ((0, 1, WHOLE, WHOLE | 1) if self.hello.get("batch") else (0, 1))
        assert 0 < start <= end
        assert status in (ANSWER, ERROR, TOO_LARGE) or not last
        self.results[number] = Result(
            number, status, bool(flags & 1), start, end, last, bool(flags & WHOLE)
        )
        self.order.append(number)

    def _take_reply(self, number: int, body: bytes) -> None:
        assert number in self._open, f"an EARLY_REPLY for {number}, which is not in flight"
        plain = self.hello.get("payload") == "json"
        self.seen.replies.append((number, (json.loads if plain else AnyMessage.FromString)(body)))

    def _take_message(self, number: int, body: bytes) -> None:
        assert number in self._open, f"a MESSAGE for {number}, which is not in flight"
        assert number in self._unpaid, f"a MESSAGE for {number}, whose answer is not a stream"
        unpaid, window = self._unpaid[number], self.hello["stream"]
        assert unpaid[0] < window["messages"], "a MESSAGE without credit"
        assert unpaid[1] < window["bytes"], "a MESSAGE without credit"
        unpaid[0] += 1
        unpaid[1] += len(body)
        plain = self.hello.get("payload") == "json"
        message = (json.loads if plain else AnyMessage.FromString)(body)
        self.seen.messages.append((number, message))

    def _take_log(self, number: int, body: bytes) -> None:
        assert self._was_given(number), f"a LOG of {number}, which was not given"
        level, time = struct.unpack_from("<BQ", body)
        assert level in range(5)
        self.seen.logs.append(Log(number, level, time, body[9:].decode()))

    def _take_measurement(self, number: int, body: bytes) -> None:
        assert self._was_given(number), f"a MEASUREMENT of {number}, which was not given"
        measurement = json.loads(body)
        assert set(measurement) == {"measurement", "fields", "tags", "time"}
        self.seen.measurements.append((number, measurement))

    def _take_save(self, number: int, body: bytes) -> None:
        self._take_call(SAVE, number, body, {"delivery", "collection", "document"})

    def _take_find(self, number: int, body: bytes) -> None:
        self._take_call(FIND, number, body, {"delivery", "collection", "query"})

    def _take_call(self, kind: int, number: int, body: bytes, fields: set[str]) -> None:
        call = Call(number, kind, json.loads(body))
        assert number > 0
        assert set(call.body) == fields
        assert self._was_given(call.body["delivery"])
        self.seen.calls.append(call)
        self.on_call(call)

    def _was_given(self, number: int) -> bool:
        return number == 0 or number in self._open or number in self.results

    def _refuse(self, call: Call) -> None:
        self.send(FAILED, call.id, b"this test has no store")


class Forked(Engine):
    """The engine's side of a worker that was forked from another one.

    In the place of its guard runs a program that ends at once.
    """

    def __init__(self, template: Engine) -> None:
        assert template.requests is not None
        self._sock, theirs = socket.socketpair()
        self._begin(template.hello)
        control, of_guard = socket.socketpair()
        self._outputs, output = os.pipe()
        with open("/bin/true", "rb") as program:
            numbers = [theirs.fileno(), of_guard.fileno(), output, output, program.fileno()]
            packed = struct.pack(f"{len(numbers)}i", *numbers)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)
            template.requests.sendmsg([b"\0"], [rights])
        for end in (theirs, of_guard, control):
            end.close()
        os.close(output)
        self.send(HELLO, 0, json.dumps(template.hello).encode())
        self.pid = int(self.start()["pid"])

    def drain(self) -> int:
        """Reads until the worker exits. Its guard would know the exit status."""
        while self._read():
            pass
        assert not self._open, f"deliveries without a RESULT: {self._open}"
        return 0

    def output(self) -> str:
        """What the ended worker has written past Python's streams."""
        with open(self._outputs, closefd=True) as outputs:
            return outputs.read()

    def _post_mortem(self) -> str:
        return f"output {self.output()!r}, seen {self.seen}"


def _text(message: AnyMessage) -> str:
    value = StringValue()
    assert message.Unpack(value)
    return value.value


def frame(kind: int, number: int, body: bytes) -> bytes:
    """One frame."""
    return struct.pack("<IBI", 5 + len(body), kind, number) + body


def delivery_body(message: Any, flags: int, workflow: int) -> bytes:
    """The body of a DELIVER."""
    if isinstance(message, str):
        message = StringValue(value=message)
    metadata, request = b'{"more":1}', b"018f3a-request"
    head = struct.pack("<BHBH", flags, workflow, len(request), len(metadata))
    return head + request + metadata + _encoded(message)


def _encoded(message: Any) -> bytes:
    if isinstance(message, dict):
        return json.dumps(message).encode()
    payload = AnyMessage()
    payload.Pack(message)
    return payload.SerializeToString()
