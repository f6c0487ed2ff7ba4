"""The imports of a node's child processes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GENERATED = Path(__file__).parent / "generated"
CHILDREN = Path(__file__).parents[1] / "src" / "krt" / "_children"
DESCRIPTORS = (GENERATED / "package.binpb").read_bytes()

# Modules as the engine makes them.
MODULE = """
from os.path import dirname as _up
from krt._protos import make as _make
_make(globals(), {name!r}, {folder})
"""

# Runs a script in a child, and returns its output.
NODE = """
    import os, subprocess, sys
    from google.protobuf.wrappers_pb2 import StringValue

    async def handler(ctx, data):
        script = StringValue()
        data.Unpack(script)
        child = [sys.executable, "-c", script.value]
        ran = subprocess.run(child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return StringValue(value=ran.stdout.decode())
"""


@pytest.fixture
def made(tmp_path):
    """A folder of made modules."""
    folder = tmp_path / "made"
    (folder / "protos").mkdir(parents=True)
    (folder / "package.binpb").write_bytes(DESCRIPTORS)
    (folder / "public_input_pb2.py").write_text(
        MODULE.format(name="public_input.proto", folder="_up(__file__)")
    )
    (folder / "protos" / "house_model_pb2.py").write_text(
        MODULE.format(name="protos/house-model.proto", folder="_up(_up(__file__))")
    )
    return folder


def start(serve, made, file="main.py", **environment):
    engine = serve(
        NODE,
        file=file,
        descriptors=base64.b64encode(DESCRIPTORS).decode(),
        environment={"KRT_MODULES": str(made), **environment},
    )
    return engine, lambda *lines: engine.ask("\n".join(lines)).text.strip()


def test_modules_are_real_files(serve, made):
    engine, run = start(serve, made)
    lines = "import public_input_pb2", "from protos import house_model_pb2"
    assert run(*lines, "print(public_input_pb2.__file__)") == str(made / "public_input_pb2.py")
    assert run(*lines, "print(house_model_pb2.House.Room.DESCRIPTOR.name)") == "Room"
    assert engine.stop() == 0


@pytest.mark.parametrize("age", ["protoc-3.6.1", "protoc-35.1"])
def test_modules_of_the_node_come_first_and_are_repaired(serve, made, tmp_path, age):
    shutil.copy(GENERATED / age / "public_input_pb2.py", tmp_path)
    engine, run = start(serve, made)
    lines = "import public_input_pb2", "print(public_input_pb2.__file__)"
    assert run(*lines) == str(tmp_path / "public_input_pb2.py")
    use = "print(public_input_pb2.Response(prices={'a': 1}).prices['a'])"
    assert run(lines[0], use) == "1.0"
    assert engine.stop() == 0


def test_a_module_in_another_folder_than_its_proto(serve, made, tmp_path):
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "__init__.py").touch()
    engine, run = start(serve, made)
    assert run("from generated import house_model_pb2 as h", "print(h.VILLA)") == "1"
    assert engine.stop() == 0


def test_the_folder_of_the_node_is_searched_last(serve, made, tmp_path):
    node = tmp_path / "node"
    node.mkdir()
    (node / "colorsys.py").write_text("raise ImportError('the standard library comes first')")
    (node / "helper.py").touch()
    engine, run = start(serve, made, "node/main.py")
    assert run("import colorsys, helper, sys", "print(sys.path[-1])") == str(node)
    assert engine.stop() == 0


def test_the_file_of_the_node_has_the_name_given_by_its_worker(serve, made):
    engine, run = start(serve, made)
    line = "import krt_node_main as m, sys"
    assert run(line, "print(m.handler.__module__)") == "krt_node_main"
    assert engine.stop() == 0


def test_a_sitecustomize_of_the_user_runs_too(serve, made, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import sys\nsys.own = 'it ran'\n")
    engine, run = start(serve, made, PYTHONPATH=str(tmp_path / "own"))
    lines = "import public_input_pb2, sitecustomize, sys", "print(sys.own, sitecustomize.__file__)"
    assert run(*lines) == f"it ran {tmp_path / 'own' / 'sitecustomize.py'}"
    assert engine.stop() == 0


def pythons():
    """All interpreters on this machine, of any version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [sys.executable, *sorted(map(str, root.glob("versions/*/bin/python")))]


@pytest.mark.parametrize("python", pythons())
def test_other_interpreters_are_not_affected(python):
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHILDREN),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KRT_CHILD_PYTHON": "30000:/elsewhere",
        "KRT_CHILD_PATH": os.pathsep.join(["/krt/sdk", "/krt/folder"]),
    }
    script = "import json, sys; print(json.dumps([sys.path, sys.argv]))"
    ran = subprocess.run(
        [python, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    path, _ = json.loads(ran.stdout.decode())
    assert not [entry for entry in path if "krt" in entry], path
