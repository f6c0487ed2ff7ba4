"""Single calls over HTTP with JSON, each with the expected answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import BenchError

_HEADERS = {"content-type": "application/json"}
_SECONDS = 30
_UP_SECONDS = 120


@dataclass(frozen=True)
class Endpoint:
    """Where a server reads digits, and the forms of its requests and answers."""

    path: str
    request: Callable[[list[int]], Any] = lambda pixels: {"pixels": pixels}
    digit: Callable[[Any], Any] = lambda answer: answer["digit"]


@dataclass(frozen=True)
class Answered:
    """The end of one request."""

    # `None` without an answer, such as when the connection broke.
    status: int | None
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the request was answered."""
        return self.status == 200


@dataclass(frozen=True)
class Predict:
    """One image for h2load."""

    method: str
    content: bytes
    size: int

    options = ("--h1", "-H", "content-type: application/json")

    def body(self) -> bytes:
        """The encoded request."""
        return self.content

    def answer_size(self) -> int:
        """The size of the encoded answer in bytes."""
        return self.size


class Client:
    """One connection to a server. It connects again after an error."""

    def __init__(self, address: str, endpoint: Endpoint, seconds: float = _SECONDS) -> None:
        self._address, self._endpoint, self._seconds = address, endpoint, seconds
        self._connection: http.client.HTTPConnection | None = None

    def send(self, pixels: list[int]) -> Answered:
        """Sends an image and returns the end of the request."""
        content = json.dumps(self._endpoint.request(pixels))
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._address, timeout=self._seconds)
            self._connection.request("POST", self._endpoint.path, content, _HEADERS)
            response = self._connection.getresponse()
            return Answered(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answered(None, repr(error).encode())

    def read(self, pixels: list[int]) -> Any:
        """Sends an image and returns its digit."""
        answered = self.send(pixels)
        if not answered.ok:
            raise BenchError(f"{self._endpoint.path} gave {answered.status}: {answered.body!r}")
        return self._endpoint.digit(json.loads(answered.body))

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def at_once(tasks: Iterable[Callable[[], None]]) -> None:
    """Runs tasks in threads, and returns when all have ended. Raises the first error."""
    errors: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def wait_until_up(address: str, endpoint: Endpoint, pixels: list[int]) -> None:
    """Repeats a request until it is answered."""
    client = Client(address, endpoint)
    deadline = time.monotonic() + _UP_SECONDS
    while not (answered := client.send(pixels)).ok:
        if time.monotonic() > deadline:
            raise BenchError(f"no answer within {_UP_SECONDS} s: {answered.body!r}")
        time.sleep(0.05)
    client.close()


def verify(address: str, endpoint: Endpoint, images: list[list[int]], digits: list[int]) -> None:
    """Sends all images at once, each over its own connection, and compares every answer."""
    found: dict[int, Any] = {}

    def read(index: int) -> None:
        client = Client(address, endpoint)
        found[index] = client.read(images[index])
        client.close()

    at_once([lambda index=index: read(index) for index in range(len(images))])
    wrong = [index for index, digit in enumerate(digits) if found[index] != digit]
    if wrong:
        raise BenchError(f"{endpoint.path} gave another answer than expected for images {wrong}")


def predict(address: str, endpoint: Endpoint, pixels: list[int]) -> Predict:
    """Returns the call with an image, as large as this server's answer is."""
    client = Client(address, endpoint)
    size = len(client.send(pixels).body)
    client.close()
    return Predict(endpoint.path, json.dumps(endpoint.request(pixels)).encode(), size)
