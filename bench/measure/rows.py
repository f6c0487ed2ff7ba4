"""The measurements. Each yields its figures by their keys in `targets.FIGURES`."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from . import BenchError, calls, load, processes, rounds, servers, streams
from .calls import Call, Stream
from .load import Load
from .options import Options
from .servers import Server
from .streams import StreamLoad
from .targets import Measured

Figures = Iterator[tuple[str, Measured]]
Start = Callable[[], AbstractContextManager[Server]]
# The start of a server, and the call to measure.
Contender = tuple[Start, Call]
C = TypeVar("C", Call, Stream)
T = TypeVar("T")

_MEBIBYTE = 1 << 20
_NODES = 3
# Of each stream: about a paragraph of a language model.
_TOKENS = 200
_REPLICAS = 4
# So many that with three workers they wait longer than their requests are handled.
_SCALE_CLIENTS = 8
_SCALE_SECONDS = 60


def chain_32(options: Options) -> Figures:
    """Three Python nodes, 32 clients."""
    loads = _compare(options, _chain(options), _reference_chain(), clients=32)
    yield "chain-32/rate", rounds.median(loads, lambda load: load.rate)
    yield "chain-32/p50", rounds.median(loads, lambda load: load.p50)


def chain_1(options: Options) -> Figures:
    """Three Python nodes, one client."""
    loads = _compare(options, _chain(options), _reference_chain(), clients=1)
    yield "chain-1/p50", rounds.median(loads, lambda load: load.p50)


def entry_32(options: Options) -> Figures:
    """The entrypoint without workers, 32 clients."""
    echo = calls.run(steps=0)
    ours = (partial(servers.entrypoint, options), echo)
    reference = (partial(servers.tonic_echo, options), echo)
    loads = _compare(options, ours, reference, clients=32)
    yield "entry-32/rate", rounds.median(loads, lambda load: load.rate)
    yield "entry-32/p50", rounds.median(loads, lambda load: load.p50)


def chain_go_32(options: Options) -> Figures:
    """Three Go nodes, 32 clients."""
    yield from _against_echo(options, "chain-go")


def chain_rust_32(options: Options) -> Figures:
    """Three Rust nodes, 32 clients."""
    yield from _against_echo(options, "chain-rust")


def chain_nats(options: Options) -> Figures:
    """Three Python nodes over NATS, one client; the extra time per hop compared with memory."""
    if not servers.has_nats():
        print("skipped chain-nats: nats-server is not installed", file=sys.stderr)
        return
    medians: dict[str, list[float]] = {}
    for turn in range(options.rounds):
        for name, median in _chain_nats_round(options, backwards=bool(turn % 2)):
            medians.setdefault(name, []).append(median)
    found = {name: statistics.median(rounds) for name, rounds in medians.items()}
    ours = found.get("nats")
    added = None if ours is None else (ours - found["memory"]) / _NODES
    yield "chain-nats/p50", Measured(ours, found["relays"])
    yield "chain-nats/hop", Measured(added, found["round_trip"])


def payload(options: Options) -> Figures:
    """1 MiB to a Python node and back, one client."""
    echo = calls.echo(_MEBIBYTE)
    loads = _compare(options, *_single(options, echo), clients=1)
    yield "payload/p50", rounds.median(loads, lambda load: load.p50)


def waiting(options: Options) -> Figures:
    """A handler that awaits, 32 messages at a time."""
    loads = _compare(options, *_single(options, calls.wait()), clients=32)
    yield "waiting/rate", rounds.median(loads, lambda load: load.rate)


def stream(options: Options) -> Figures:
    """A stream of tokens, which take no time to compute."""
    contenders = (partial(servers.krt, options, "single"), servers.grpc_aio)
    many = _compare_streams(options, *contenders, clients=32)
    yield "stream/rate", rounds.median(many, lambda load: load.rate)
    one = _compare_streams(options, *contenders, clients=1)
    yield "stream/first", rounds.median(one, lambda load: load.first)


def start(options: Options) -> Figures:
    """From the start of the process to the first answer, with packages already installed."""
    if options.references_only:
        return
    _first_answer(options)
    times = [_first_answer(options) for _ in range(options.rounds)]
    yield "start/first", Measured(statistics.median(times))


def memory(options: Options) -> Figures:
    """The resident memory of engine and host."""
    if options.references_only:
        return
    chain = calls.run(_NODES)
    with servers.krt(options, "chain") as server:
        calls.when_up(lambda: chain.verify(server.address))
        yield "memory/engine", Measured(processes.resident(server.pid))
        _prepare(server, chain, clients=32).load(options.seconds)
        yield "memory/loaded", Measured(processes.resident(server.pid))
    yield "memory/host", Measured(_idle_host(options))


def crash(options: Options) -> Figures:
    """Kills a host while it handles a message."""
    if options.references_only:
        return
    with servers.krt(options, "single") as server, tempfile.TemporaryDirectory() as folder:
        calls.when_up(lambda: calls.mortal(server.address))
        times = [_kill(server, Path(folder, str(turn))) for turn in range(options.rounds)]
    yield "crash/error", Measured(statistics.median(error for error, _ in times))
    yield "crash/again", Measured(statistics.median(again for _, again in times))


def scale(options: Options) -> Figures:
    """A node that gets load for four workers while it has one."""
    if options.references_only:
        return
    for key, method in (("scale/started", "Start"), ("scale/forked", "Fork")):
        times = [_scale_up(options, method) for _ in range(options.rounds)]
        yield key, Measured(statistics.median(times))


ROWS: dict[str, Callable[[Options], Figures]] = {
    "chain-32": chain_32,
    "chain-1": chain_1,
    "entry-32": entry_32,
    "chain-go-32": chain_go_32,
    "chain-rust-32": chain_rust_32,
    "chain-nats": chain_nats,
    "start": start,
    "memory": memory,
    "payload": payload,
    "waiting": waiting,
    "stream": stream,
    "crash": crash,
    "scale": scale,
}


def _chain(options: Options) -> Contender:
    return partial(servers.krt, options, "chain"), calls.run(_NODES)


def _reference_chain() -> Contender:
    return servers.grpc_aio, calls.run(_NODES)


def _single(options: Options, call: Call) -> tuple[Contender, Contender]:
    return (partial(servers.krt, options, "single"), call), (servers.grpc_aio, call)


def _against_echo(options: Options, package: str) -> Figures:
    """Three nodes, 32 clients, against an empty server."""
    ours = (partial(servers.krt, options, package), calls.run(_NODES))
    reference = (partial(servers.tonic_echo, options), calls.run(steps=0))
    loads = _compare(options, ours, reference, clients=32)
    yield f"{package}-32/rate", rounds.median(loads, lambda load: load.rate)
    yield f"{package}-32/p50", rounds.median(loads, lambda load: load.p50)


def _compare(
    options: Options, ours: Contender, reference: Contender, clients: int
) -> dict[str, list[Load]]:
    """Loads two servers with calls that have one answer."""

    def load_of(server: Server, call: Call) -> Load:
        return _prepare(server, call, clients).load(options.seconds)

    return _in_turn(options, ours, reference, load_of)


def _compare_streams(
    options: Options, ours: Start, reference: Start, clients: int
) -> dict[str, list[StreamLoad]]:
    """Loads two servers with calls that are answered with a stream."""
    call = calls.write(_TOKENS)

    def load_of(server: Server, call: Stream) -> StreamLoad:
        calls.when_up(lambda: call.verify(server.address))
        return streams.run(options, server.address, call, clients, options.seconds)

    return _in_turn(options, (ours, call), (reference, call), load_of)


def _in_turn(
    options: Options,
    ours: tuple[Start, C],
    reference: tuple[Start, C],
    load_of: Callable[[Server, C], T],
) -> dict[str, list[T]]:
    """Loads two servers in turn, so that both run under the same conditions.

    The order changes each round. Each round restarts both: the system's placement of the processes
    changes the result by up to a fifth, for as long as they live.
    """
    contenders = {"reference": reference}
    if not options.references_only:
        contenders["ours"] = ours
    loads: dict[str, list[T]] = {name: [] for name in contenders}
    for turn in range(options.rounds):
        for name in sorted(contenders, reverse=bool(turn % 2)):
            start, call = contenders[name]
            with start() as server:
                loads[name].append(load_of(server, call))
                call.verify(server.address)
    return loads


@dataclass(frozen=True)
class Prepared:
    """A warm server with verified answers."""

    server: Server
    call: Call
    clients: int
    rate: float

    def load(self, seconds: float) -> Load:
        """Makes as many calls as take about `seconds`."""
        requests = rounds.requests(self.rate, self.clients, seconds)
        return load.run(self.server.address, self.call, self.clients, requests)


def _prepare(server: Server, call: Call, clients: int) -> Prepared:
    calls.when_up(lambda: call.verify(server.address))
    return Prepared(server, call, clients, load.warm_up(server.address, call, clients))


def _chain_nats_round(options: Options, backwards: bool) -> Iterator[tuple[str, float]]:
    """Medians in milliseconds of raw NATS, and of the chain over NATS and in memory."""
    names = ["raw"] if options.references_only else ["raw", "nats", "memory"]
    with servers.nats() as server:
        url = f"nats://{server.address}"
        for name in reversed(names) if backwards else names:
            if name == "raw":
                yield from servers.raw_nats(options, url, options.seconds).items()
            else:
                yield name, _chain_p50(options, url if name == "nats" else None)


def _chain_p50(options: Options, nats: str | None) -> float:
    call = calls.run(_NODES)
    with servers.krt(options, "chain", nats=nats) as server:
        p50 = _prepare(server, call, clients=1).load(options.seconds).p50
        call.verify(server.address)
    return p50


def _first_answer(options: Options) -> float:
    began = time.perf_counter()
    with servers.krt(options, "chain", data="start") as server:
        chain = calls.run(_NODES)
        calls.when_up(lambda: chain.verify(server.address))
        return time.perf_counter() - began


def _idle_host(options: Options) -> float:
    with servers.krt(options, "single") as server:
        calls.when_up(lambda: calls.mortal(server.address))
        before = {pid: processes.resident(pid) for pid in processes.descendants(server.pid)}
        host = calls.when_up(lambda: calls.idle(server.address))
    if host not in before:
        raise BenchError("the process of the node `idle` was not there before its first message")
    return before[host]


def _kill(server: Server, file: Path) -> tuple[float, float]:
    """Kills a host in a handler; returns the milliseconds until the client gets the error, and
    until the node answers again."""
    hanging = calls.Hanging(server.address, str(file))
    host = _announced(file)
    if host not in processes.descendants(server.pid):
        raise BenchError(f"process {host} is not a host of the server that is measured")
    killed = time.perf_counter()
    os.kill(host, signal.SIGKILL)
    code = hanging.error()
    known = time.perf_counter()
    if code.name != "INTERNAL":
        raise BenchError(f"the call of a killed node ended with {code.name}, not INTERNAL")
    calls.when_up(lambda: calls.mortal(server.address))
    return (known - killed) * 1000, (time.perf_counter() - killed) * 1000


def _scale_up(options: Options, method: str) -> float:
    """Returns the seconds from the first request of all clients to an answer of the last worker."""
    with servers.krt(options, "scaling") as server:
        clients = [calls.Replicas(server.address, method) for _ in range(_SCALE_CLIENTS)]
        calls.when_up(clients[0].ask)
        answered: set[int] = set()
        began = time.perf_counter()

        def call(client: calls.Replicas) -> None:
            while len(answered) < _REPLICAS:
                answered.add(client.ask())
                if time.perf_counter() - began > _SCALE_SECONDS:
                    raise BenchError(f"{len(answered)} workers answer {method}, not {_REPLICAS}")

        with ThreadPoolExecutor(_SCALE_CLIENTS) as threads:
            for done in [threads.submit(call, client) for client in clients]:
                done.result()
        taken = time.perf_counter() - began
        for client in clients:
            client.close()
    return taken


def _announced(file: Path) -> int:
    deadline = time.monotonic() + 10
    while not file.exists():
        if time.monotonic() > deadline:
            raise BenchError("the handler of the node `mortal` did not begin within 10 s")
        time.sleep(0.001)
    return int(file.read_text())
