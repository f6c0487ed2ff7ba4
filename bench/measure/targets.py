"""The figures and their targets."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A bound on our figure, or on its ratio to the reference's."""

    bound: str
    limit: float
    of_ratio: bool = False

    def reached(self, ours: float, reference: float | None) -> bool:
        """Whether the figures meet the bound."""
        if not self.of_ratio:
            return BOUNDS[self.bound](ours, self.limit)
        if reference is None:
            raise ValueError("a ratio needs a reference")
        return BOUNDS[self.bound](ours / reference, self.limit)


BOUNDS: dict[str, Callable[[float, float], bool]] = {"≥": operator.ge, "≤": operator.le}


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    row: str
    what: str
    unit: str
    reference: str | None = None
    target: Target | None = None


@dataclass(frozen=True)
class Measured:
    """The medians of one figure. `ours` is absent if only references are measured."""

    ours: float | None
    reference: float | None = None


def _times(bound: str, limit: float) -> Target:
    return Target(bound, limit, of_ratio=True)


FIGURES = {
    "chain-32/rate": Figure(
        "chain-32", "3 Python nodes, 32 clients", "req/s", "grpc.aio", _times("≥", 3)
    ),
    "chain-32/p50": Figure("chain-32", "3 Python nodes, 32 clients, p50", "ms", "grpc.aio"),
    "chain-1/p50": Figure(
        "chain-1", "3 Python nodes, 1 client, p50", "ms", "grpc.aio", _times("≤", 0.75)
    ),
    "entry-32/rate": Figure(
        "entry-32", "entrypoint alone, 32 clients", "req/s", "tonic echo", _times("≥", 0.8)
    ),
    "entry-32/p50": Figure("entry-32", "entrypoint alone, 32 clients, p50", "ms", "tonic echo"),
    "chain-go-32/rate": Figure(
        "chain-go-32", "3 Go nodes, 32 clients", "req/s", "tonic echo", _times("≥", 0.3)
    ),
    "chain-go-32/p50": Figure("chain-go-32", "3 Go nodes, 32 clients, p50", "ms", "tonic echo"),
    "chain-rust-32/rate": Figure(
        "chain-rust-32", "3 Rust nodes, 32 clients", "req/s", "tonic echo", _times("≥", 0.4)
    ),
    "chain-rust-32/p50": Figure(
        "chain-rust-32", "3 Rust nodes, 32 clients, p50", "ms", "tonic echo"
    ),
    "chain-nats/p50": Figure(
        "chain-nats", "3 Python nodes over NATS, 1 client, p50", "ms", "raw NATS, 3 relays"
    ),
    "chain-nats/hop": Figure(
        "chain-nats",
        "what NATS adds to the p50, a node",
        "ms",
        "round trip",
        _times("≤", 2),
    ),
    "start/first": Figure(
        "start", "start to first answer, 3 Python nodes, warm", "s", None, Target("≤", 0.4)
    ),
    "memory/engine": Figure("memory", "engine, after start", "MB", None, Target("≤", 30)),
    "memory/loaded": Figure("memory", "engine, after load", "MB", None, Target("≤", 30)),
    "memory/host": Figure(
        "memory", "Python host, before the user's imports", "MB", None, Target("≤", 25)
    ),
    "payload/p50": Figure(
        "payload", "1 MiB through a Python node, 1 client, p50", "ms", "grpc.aio", Target("≤", 2.5)
    ),
    "waiting/rate": Figure(
        "waiting",
        "handler awaits 50 ms, concurrency 32, 32 clients",
        "req/s",
        "grpc.aio",
        _times("≥", 0.95),
    ),
    "stream/rate": Figure(
        "stream", "tokens from a Python node, 32 clients", "tokens/s", "grpc.aio", _times("≥", 1)
    ),
    "stream/first": Figure(
        "stream", "first token from a Python node, 1 client, p50", "ms", "grpc.aio"
    ),
    "crash/error": Figure(
        "crash", "host killed in a handler, until the client's error", "ms", None, Target("≤", 20)
    ),
    "crash/again": Figure("crash", "host killed in a handler, until the next answer", "ms"),
    "scale/started": Figure("scale", "load for 4 workers, until the fourth answers", "s"),
    "scale/forked": Figure("scale", "the same with `share: fork`", "s"),
}

ROWS = tuple(dict.fromkeys(figure.row for figure in FIGURES.values()))

# The rows that `--peers` selects; `peer_rows` measures them.
PEER_ROWS = ("forest", "dense", "poison", "kill")
