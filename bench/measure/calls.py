"""Single gRPC calls, each with the expected answer."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from chain_pb2 import Work
from google.protobuf.json_format import MessageToJson
from scaling_pb2 import Process as Replica
from scaling_pb2 import Request
from single_pb2 import Blob, HangRequest, Ping, Process, Prompt, Token

from . import BenchError

# Large enough for a message of 1 MiB and its frame.
_CHANNEL = [("grpc.max_receive_message_length", 4 << 20), ("grpc.use_local_subchannel_pool", 1)]
_SECONDS = 10
# The prefix of each message: its compression flag and its length.
_PREFIX = struct.Struct(">BI")
_HANG = "/single.Entrypoint/Hang"

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A method with a request and the expected answer."""

    method: str
    request: Any
    answer: Any

    options = ("-H", "content-type: application/grpc", "-H", "te: trailers")

    def body(self) -> bytes:
        """The encoded request."""
        message: bytes = self.request.SerializeToString()
        return _PREFIX.pack(0, len(message)) + message

    def answer_size(self) -> int:
        """The size of the encoded answer in bytes."""
        return _PREFIX.size + int(self.answer.ByteSize())

    def verify(self, address: str) -> None:
        """Makes the call once, and raises unless the answer is as expected."""
        answer = _unary(address, self.method, self.request, type(self.answer))
        if answer != self.answer:
            raise BenchError(f"{self.method} gave another answer than expected")


@dataclass(frozen=True)
class Stream:
    """A method that answers with a stream, with a request and the expected messages."""

    method: str
    request: Any
    answers: list[Any]

    def json(self) -> str:
        """The request as JSON."""
        return str(MessageToJson(self.request))

    def verify(self, address: str) -> None:
        """Makes the call once, and raises unless the messages are as expected."""
        with _channel(address) as channel:
            call = channel.unary_stream(
                self.method,
                request_serializer=type(self.request).SerializeToString,
                response_deserializer=type(self.answers[0]).FromString,
            )
            try:
                answers = list(call(self.request, timeout=_SECONDS))
            except grpc.RpcError as error:
                raise CallError(self.method, error) from error
        if answers != self.answers:
            raise BenchError(f"{self.method} gave other messages than expected")


class CallError(BenchError):
    """A call that failed."""

    def __init__(self, method: str, error: Any) -> None:
        self.code: grpc.StatusCode = error.code()
        super().__init__(f"{method} failed: {self.code.name}: {error.details()}")


def when_up(call: Callable[[], T], seconds: float = _SECONDS) -> T:
    """Repeats a call until its node is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except CallError as error:
            if error.code is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def run(steps: int) -> Call:
    """A small message through nodes that add one step each."""
    request = Work(text="the quick brown fox", steps=1, values=[0.25, 0.5, 0.75, 1.0])
    answer = Work(text=request.text, steps=request.steps + steps, values=request.values)
    return Call("/chain.Entrypoint/Run", request, answer)


def wait() -> Call:
    """A handler that awaits."""
    return Call("/single.Entrypoint/Wait", Ping(text="wait"), Ping(text="wait"))


def echo(size: int) -> Call:
    """A message of `size` bytes in each direction."""
    blob = Blob(content=bytes(range(256)) * (size // 256))
    return Call("/single.Entrypoint/Echo", blob, blob)


def write(tokens: int) -> Stream:
    """A stream of tokens."""
    return Stream("/single.Entrypoint/Write", Prompt(tokens=tokens), [Token(text="token")] * tokens)


def idle(address: str) -> int:
    """Returns the process id of the node `idle`."""
    return int(_unary(address, "/single.Entrypoint/Idle", Ping(), Process).id)


def mortal(address: str) -> int:
    """Returns the process id of the node `mortal`."""
    return int(_unary(address, _HANG, HangRequest(), Process).id)


class Replicas:
    """A client of a node with replicas."""

    def __init__(self, address: str, method: str) -> None:
        self._channel = _channel(address)
        self._method = f"/scaling.Entrypoint/{method}"

    def ask(self) -> int:
        """Returns the process id of the replica that answers."""
        return int(_call(self._channel, self._method, Request(), Replica).id)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


class Hanging:
    """A call whose handler writes its process id to a file and never ends."""

    def __init__(self, address: str, file: str) -> None:
        self._channel = _channel(address)
        method = self._channel.unary_unary(
            _HANG,
            request_serializer=HangRequest.SerializeToString,
            response_deserializer=Process.FromString,
        )
        self._future = method.future(HangRequest(file=file), timeout=_SECONDS)

    def error(self) -> grpc.StatusCode:
        """Waits for the call, which must fail."""
        error = self._future.exception()
        self._channel.close()
        if error is None:
            raise BenchError("the call of a killed node was answered")
        return error.code()


def _unary(address: str, method: str, request: Any, answer: type[Any]) -> Any:
    with _channel(address) as channel:
        return _call(channel, method, request, answer)


def _call(channel: grpc.Channel, method: str, request: Any, answer: type[Any]) -> Any:
    call = channel.unary_unary(
        method,
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer.FromString,
    )
    try:
        return call(request, timeout=_SECONDS)
    except grpc.RpcError as error:
        raise CallError(method, error) from error


def _channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=_CHANNEL)
