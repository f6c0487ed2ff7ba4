"""The virtual environment of the driver and the reference, and the generated modules.

All files are below `target/bench`: git ignores it, and `cargo clean` removes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from . import BenchError

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
WORK = ROOT / "target/bench"
GENERATED = WORK / "generated"

_VENV = WORK / "venv"
_STAMP = _VENV / "requirements.sha256"
_REQUIREMENTS = BENCH / "reference/requirements.txt"
_PROTOS = {f"{package}.proto": BENCH / package for package in ("chain", "single", "scaling")}


def enter() -> None:
    """Restarts the driver inside the environment, unless it already runs there."""
    if Path(sys.prefix) == _VENV:
        _generate()
        sys.path.insert(0, str(GENERATED))
        return
    if sys.version_info < (3, 10):
        raise BenchError("Python 3.10 or newer is needed\nhint: run bench.py with a newer python3")
    _make()
    python = str(_VENV / "bin/python")
    os.execv(python, [python, "-B", *sys.argv])


def _make() -> None:
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    print("making the environment of the references", file=sys.stderr)
    venv.create(_VENV, clear=True, with_pip=True)
    must(
        [_VENV / "bin/python", "-m", "pip", "install", "--quiet", "-r", _REQUIREMENTS],
        "install the packages of the references",
    )
    _STAMP.write_text(wanted)


def _generate() -> None:
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir(parents=True)
    out = [f"--python_out={GENERATED}", f"--grpc_python_out={GENERATED}"]
    include = [f"-I{folder}" for folder in _PROTOS.values()]
    must(
        [sys.executable, "-m", "grpc_tools.protoc", *include, *out, *_PROTOS],
        "generate the modules of the references",
    )


def must(command: list[str | Path], what: str) -> None:
    """Runs a command, and raises with its output if it fails."""
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise BenchError(f"cannot {what}\n{done.stdout.strip()}")
