"""Fixtures: workers that run a piece of user code."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from fake_engine import Engine
from hypothesis import HealthCheck, settings

Start = Callable[..., Engine]

# How long generated values take says something about the machine, not about the SDK.
settings.register_profile("krt", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("krt")


def hello_for(handler: Path, **changes: Any) -> dict[str, Any]:
    """A HELLO for a node whose file is `handler`."""
    return {
        "protocol": 1,
        "node": "etl",
        "version": "greeter-v1",
        "version_id": "64b1",
        "runtime": "rt",
        "workflows": ["greet", "train"],
        "base_path": str(handler.parent),
        "handler_path": str(handler),
        "concurrency": 1,
        "max_frame": 4 << 20,
        "max_message": 1 << 20,
        "log_level": "INFO",
        "descriptors": "",
        "unheard_of": {"readers": "ignore it"},
        **changes,
    }


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Start]:
    """Starts workers without waiting for `READY`, and ends them after the test."""
    engines: list[Engine] = []

    def start(code: str, *, file: str = "main.py", **options: Any) -> Engine:
        handler = tmp_path / file
        handler.parent.mkdir(parents=True, exist_ok=True)
        handler.write_text(textwrap.dedent(code))
        engine_options = {
            name: options.pop(name)
            for name in ("arguments", "environment", "forks")
            if name in options
        }
        engine = Engine(hello_for(handler, **options), folder=tmp_path, **engine_options)
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture
def serve(launch: Start) -> Start:
    """Starts a worker and waits until it is ready."""

    def start(code: str, **options: Any) -> Engine:
        engine = launch(code, **options)
        engine.start()
        return engine

    return start
