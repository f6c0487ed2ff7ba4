"""The other model servers, and `krt`, each in front of the same model.

The servers are installed into `target/bench`, beside the packages of the model. A server that
cannot be installed is skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from . import BenchError, servers
from .environment import BENCH, WORK, must
from .options import Options
from .servers import Server
from .web import Endpoint

# The largest batch of every server.
MAX_BATCH = 64

_SOURCES = BENCH / "peers"
_PACKAGE = BENCH / "model"
_NODE = _PACKAGE / "src/model"
_MODELS = WORK / "models"
_VENV = WORK / "peers"
_REQUIREMENTS = _NODE / "requirements.txt"
# What writes the models.
_ONNX = "onnx==1.19.1"


@dataclass(frozen=True)
class Peer:
    """A model server of others."""

    name: str
    requirement: str
    endpoint: Endpoint
    command: Callable[[int], list[str]]


def _python(*words: str) -> list[str]:
    return [str(_VENV / "bin/python"), "-B", *words]


def _script(name: str) -> str:
    return str(_SOURCES / name)


PEERS = (
    Peer(
        "Mosec",
        "mosec==0.9.8",
        Endpoint("/inference"),
        lambda port: _python(
            _script("mosec_server.py"), "--address", "127.0.0.1", "--port", str(port)
        ),
    ),
    Peer(
        "LitServe",
        "litserve==0.2.19",
        Endpoint("/predict"),
        lambda port: _python(_script("litserve_server.py"), str(port)),
    ),
    Peer(
        "BentoML",
        "bentoml==1.4.40",
        Endpoint(
            "/predict",
            lambda pixels: {"images": [{"pixels": pixels}]},
            lambda answer: answer[0]["digit"],
        ),
        lambda port: _python(
            *("-m", "bentoml", "serve", "bentoml_server:Model"),
            *("--working-dir", str(_SOURCES), "--host", "127.0.0.1", "--port", str(port)),
        ),
    ),
)

# What the package has in krt.yml.
_BATCHES = "    batch: true\n"

# JSON of protobuf has no fields that are 0.
_KRT = Endpoint("/model.Entrypoint/Predict", digit=lambda answer: answer["digit"] if answer else 0)


@dataclass(frozen=True)
class Contender:
    """A server with or without batching."""

    name: str
    batched: bool
    endpoint: Endpoint
    # Starts the server with the model of this name.
    start: Callable[[str], AbstractContextManager[Server]]

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name if self.batched else f"{self.name}, one by one"


@dataclass(frozen=True)
class Cases:
    """Images, and the digits that a model reads in them."""

    images: list[list[int]]
    digits: dict[str, list[int]]


class Comparison:
    """The installed servers."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def peers(self) -> list[Peer]:
        """The peers that are installed; says which are not."""
        return install()

    def contenders(self, batched: tuple[bool, ...] = (True, False)) -> list[Contender]:
        """Every server, with and without batching."""
        found = []
        for each in batched:
            if not self._options.references_only:
                keys = _BATCHES if each else ""
                found.append(Contender("krt", each, _KRT, partial(_krt, self._options, keys)))
            for peer in self.peers:
                found.append(Contender(peer.name, each, peer.endpoint, partial(_peer, peer, each)))
        return found

    def with_retries(self) -> list[Contender]:
        """`krt` whose requests wait for the next worker, if it is measured."""
        if self._options.references_only:
            return []
        keys = f"{_BATCHES}    retries: 1\n"
        start = partial(_krt, self._options, keys)
        return [Contender("krt with `retries: 1`", True, _KRT, start)]

    @property
    def versions(self) -> list[str]:
        """The pinned versions of the peers."""
        return [peer.requirement for peer in self.peers]

    @cached_property
    def cases(self) -> Cases:
        """The images and their digits. The models are fitted once."""
        document = json.loads(_fitted().read_text())
        return Cases(document["images"], {name: document[name] for name in ("forest", "dense")})


def install() -> list[Peer]:
    """Installs the packages of the models and the peers, once. Returns the installed peers."""
    if not (_VENV / "bin/python").exists():
        venv.create(_VENV, with_pip=True)
    wanted = f"{_REQUIREMENTS.read_text()}{_ONNX}\n"
    if not _is_done("models", wanted):
        must(_pip(_ONNX, "-r", str(_REQUIREMENTS)), "install the packages of the models")
        _note_done("models", wanted)
    return [peer for peer in PEERS if _install(peer, wanted)]


def _install(peer: Peer, models: str) -> bool:
    wanted = f"{models}{peer.requirement}\n"
    if _is_done(peer.name, wanted):
        return True
    print(f"installing {peer.requirement}", file=sys.stderr)
    try:
        # The same packages of the model for all.
        must(_pip(peer.requirement, _ONNX, "-r", str(_REQUIREMENTS)), f"install {peer.requirement}")
    except BenchError as error:
        print(f"skipped {peer.name}: {error}", file=sys.stderr)
        return False
    _note_done(peer.name, wanted)
    return True


def _pip(*words: str) -> list[str | Path]:
    return [_VENV / "bin/python", "-m", "pip", "install", "--quiet", *words]


def _stamp(name: str) -> Path:
    return _VENV / f"{name}.installed"


def _is_done(name: str, wanted: str) -> bool:
    stamp = _stamp(name)
    return stamp.exists() and stamp.read_text() == wanted


def _note_done(name: str, wanted: str) -> None:
    _stamp(name).write_text(wanted)


def _fitted() -> Path:
    script = _SOURCES / "make_models.py"
    digest = hashlib.sha256(script.read_bytes() + _REQUIREMENTS.read_bytes()).hexdigest()
    folder = _MODELS / digest[:16]
    cases = folder / "cases.json"
    if not cases.exists():
        print("fitting the models", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        must([_VENV / "bin/python", "-B", script, folder], "fit the models")
    return cases


def pid_file() -> Path:
    """The file with the id of the process that has loaded the model."""
    return WORK / "model.pid"


def _environment(model: str) -> dict[str, str]:
    return {
        "BENCH_MODEL": model,
        "BENCH_MODELS": str(_fitted().parent),
        "BENCH_PID": str(pid_file()),
    }


@contextmanager
def _krt(options: Options, keys: str, model: str) -> Iterator[Server]:
    package = WORK / "model"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(_PACKAGE, package)
    manifest = package / "krt.yml"
    manifest.write_text(manifest.read_text().replace(_BATCHES, keys))
    environment = {**os.environ, **_environment(model)}
    with servers.krt(options, package, data="model", environment=environment) as server:
        yield server


@contextmanager
def _peer(peer: Peer, batched: bool, model: str) -> Iterator[Server]:
    port = _free_port()
    environment = {
        **os.environ,
        **_environment(model),
        "BENCH_BATCH": str(MAX_BATCH if batched else 1),
        "PYTHONPATH": str(_NODE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(WORK / "bentoml"),
    }
    command = peer.command(port)
    with servers.listening(peer.name, command, f"127.0.0.1:{port}", environment) as server:
        yield server


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
