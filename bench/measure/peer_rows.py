"""The rows of the comparison with other model servers. Each returns one table."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from . import BenchError, load, rounds, web
from .options import Options
from .peer_report import Check, Table
from .peers import Comparison, Contender, pid_file
from .servers import Server
from .web import Client

_CLIENTS = 32
_BEST = 1.2
_ALONE = 1.05
_RATE, _P50, _ALONE_P50 = "32 clients, answers/s", "32 clients, p50 in ms", "1 client, p50 in ms"

_GOOD = [[value] * 64 for value in (1, 2, 3, 4)]
_BAD = [-1] * 64
_POISON = "failed of 5"

_KILL_LOAD_SECONDS = 1.0
_KILL_SECONDS = 15.0
_FAILED, _AGAIN = "clients with an error, of 32", "s until the next answer"


def model(name: str, comparison: Comparison, options: Options) -> Table:
    """One model: 32 clients and 1 client, with and without batching."""
    loads: dict[str, dict[str, list[float]]] = {}
    contenders = comparison.contenders()
    for turn in range(options.rounds):
        for contender in _in_turn(contenders, turn):
            found = loads.setdefault(contender.label, {})
            for figure, value in _model_round(name, comparison, contender, options):
                found.setdefault(figure, []).append(value)
    return judged(name, _medians(contenders, loads))


def poison(comparison: Comparison, options: Options) -> Table:
    """Five requests in one batch, one of which makes the handler raise."""
    contenders = comparison.contenders(batched=(True,))
    failed: dict[str, dict[str, list[float]]] = {}
    for contender in contenders:
        with _started(contender, "slow", _GOOD[0]) as server:
            counts = [float(_poisoned(server, contender)) for _ in range(options.rounds)]
        failed[contender.label] = {_POISON: counts}
    return Table("poison", _medians(contenders, failed), [])


def kill(comparison: Comparison, options: Options) -> Table:
    """The process with the model is killed while 32 clients send requests."""
    contenders = comparison.with_retries() + comparison.contenders(batched=(True,))
    found: dict[str, dict[str, list[float]]] = {}
    image = comparison.cases.images[0]
    for turn in range(options.rounds):
        for contender in _in_turn(contenders, turn):
            with _started(contender, "forest", image) as server:
                failed, again = _killed(server, contender, image)
            figures = found.setdefault(contender.label, {_FAILED: [], _AGAIN: []})
            figures[_FAILED].append(failed)
            figures[_AGAIN].append(again)
    return Table("kill", _medians(contenders, found), [])


PEER_ROWS: dict[str, Callable[[Comparison, Options], Table]] = {
    "forest": partial(model, "forest"),
    "dense": partial(model, "dense"),
    "poison": poison,
    "kill": kill,
}


def judged(name: str, figures: dict[str, dict[str, float]]) -> Table:
    """Returns the table of a model, with its targets checked as far as they were measured."""
    checks = []
    ours = figures.get("krt")
    peers = [each for label, each in figures.items() if label.split(",")[0] != "krt"]
    if ours is not None and peers:
        best = max(each[_RATE] for each in peers)
        checks.append(
            Check("answers/s of the best peer at 32 clients", "≥", _BEST, ours[_RATE] / best)
        )
    if ours is not None:
        alone = figures["krt, one by one"]
        ratio = ours[_ALONE_P50] / alone[_ALONE_P50]
        checks.append(Check("p50 of krt without `batch` at 1 client", "≤", _ALONE, ratio))
    return Table(name, figures, checks)


def _in_turn(contenders: list[Contender], turn: int) -> list[Contender]:
    return contenders[::-1] if turn % 2 else contenders


def _medians(
    contenders: list[Contender], found: dict[str, dict[str, list[float]]]
) -> dict[str, dict[str, float]]:
    return {
        contender.label: {
            figure: statistics.median(values) for figure, values in found[contender.label].items()
        }
        for contender in contenders
    }


@contextmanager
def _started(contender: Contender, name: str, image: list[int]) -> Iterator[Server]:
    """A server that answers."""
    with contender.start(name) as server:
        web.wait_until_up(server.address, contender.endpoint, image)
        yield server


def _model_round(
    name: str, comparison: Comparison, contender: Contender, options: Options
) -> Iterator[tuple[str, float]]:
    images, digits = comparison.cases.images, comparison.cases.digits[name]
    with _started(contender, name, images[0]) as server:
        verify = partial(web.verify, server.address, contender.endpoint, images, digits)
        verify()
        call = web.predict(server.address, contender.endpoint, images[1])
        for clients in (_CLIENTS, 1):
            rate = load.warm_up(server.address, call, clients)
            requests = rounds.requests(rate, clients, options.seconds)
            measured = load.run(server.address, call, clients, requests)
            if clients == 1:
                yield _ALONE_P50, measured.p50
            else:
                yield _RATE, measured.rate
                yield _P50, measured.p50
        verify()


def _poisoned(server: Server, contender: Contender) -> int:
    """Returns how many of five requests fail. They wait together while one is handled."""
    failed: list[bool] = []

    def send(pixels: list[int]) -> None:
        client = Client(server.address, contender.endpoint)
        answered = client.send(pixels)
        client.close()
        failed.append(not answered.ok)
        if answered.ok and pixels is _BAD:
            raise BenchError(f"{contender.label} answered the bad request")
        if answered.ok and contender.endpoint.digit(json.loads(answered.body)) != digit_of(pixels):
            raise BenchError(f"{contender.label} gave another answer than expected")

    def five() -> None:
        # The first request has reached the handler by now.
        time.sleep(0.1)
        web.at_once([partial(send, pixels) for pixels in (*_GOOD[:2], _BAD, *_GOOD[2:])])

    web.at_once([partial(send, _GOOD[0]), five])
    return sum(failed)


def digit_of(pixels: list[int]) -> int:
    """What the model `slow` reads."""
    return sum(pixels) % 10


def _killed(server: Server, contender: Contender, image: list[int]) -> tuple[float, float]:
    """Returns how many clients got an error, and the seconds from the kill to the next answer.

    A client ends with its first error, so a server that refuses quickly is not counted more often.
    """
    state = _Kill()

    def load_it() -> None:
        client = Client(server.address, contender.endpoint, _KILL_SECONDS)
        while not state.is_over():
            if not client.send(image).ok:
                state.note_failed()
                break
        client.close()

    def kill_it() -> None:
        client = Client(server.address, contender.endpoint, _KILL_SECONDS)
        time.sleep(_KILL_LOAD_SECONDS)
        os.kill(int(pid_file().read_text()), signal.SIGKILL)
        state.killed = time.monotonic()
        while not state.is_over():
            if client.send(image).ok:
                state.again = time.monotonic() - state.killed
            else:
                time.sleep(0.02)
        client.close()

    web.at_once([kill_it, *[load_it] * _CLIENTS])
    return float(state.failed), state.again if state.again is not None else math.inf


class _Kill:
    """What the clients of a killed server saw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.failed = 0
        self.killed: float | None = None
        # Seconds from the kill to an answer of a request that was sent after it.
        self.again: float | None = None

    def is_over(self) -> bool:
        """Whether the server answers again, or does not within the limit."""
        if self.again is not None:
            return True
        return self.killed is not None and time.monotonic() - self.killed > _KILL_SECONDS

    def note_failed(self) -> None:
        """Counts a client that got an error."""
        with self._lock:
            self.failed += 1
