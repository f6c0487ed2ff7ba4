"""The variables that stand-ins require, like existing runners."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# No server listens there: a stand-in that connects fails.
NOBODY = "nats://127.0.0.1:1"

NODE = {
    "KRT_WORKFLOW_NAME": "greeting",
    "KRT_VERSION_ID": "shop-v1",
    "KRT_VERSION": "shop-v1",
    "KRT_NODE_NAME": "one",
    "KRT_NATS_SERVER": NOBODY,
    "KRT_NATS_INPUT": "in",
    "KRT_NATS_OUTPUT": "out",
    "KRT_NATS_MONGO_WRITER": "writer",
    "KRT_BASE_PATH": "/package",
    "KRT_HANDLER_PATH": "src/main.py",
    "KRT_MONGO_URI": "mongodb://127.0.0.1:27017",
    "KRT_INFLUX_URI": "http://127.0.0.1:8086",
}
SECOND_NODE = {
    **NODE,
    "KRT_RUNTIME_ID": "shop",
    "KRT_NATS_STREAM": "shop-shop-v1-Greet",
    "KRT_IS_LAST_NODE": "false",
    "KRT_NATS_ENTRYPOINT_SUBJECT": "shop-shop-v1-Greet.entrypoint",
}
ENTRYPOINT = {
    "KRT_RUNTIME_ID": "shop",
    "KRT_VERSION_ID": "shop-v1",
    "KRT_VERSION": "shop-v1",
    "KRT_NODE_NAME": "entrypoint",
    "KRT_NODE_ID": "entrypoint",
    "KRT_NATS_SERVER": NOBODY,
    "KRT_NATS_SUBJECTS_FILE": "subjects.json",
    "KRT_INFLUX_URI": "http://127.0.0.1:8086",
}
PROGRAMS = [
    ("core_node.py", NODE),
    ("jetstream_node.py", SECOND_NODE),
    ("core_entrypoint.py", ENTRYPOINT),
    ("jetstream_entrypoint.py", ENTRYPOINT),
]


def complaint(program, environment, folder, subjects='{"Greet": "shop-shop-v1-Greet.one"}'):
    """Returns a stand-in's error before it connects, or `None` if it would connect."""
    (folder / "subjects.json").write_text(subjects)
    # A connection would be retried for ever.
    run = f"runpy.run_path({str(HERE / program)!r}, run_name='__main__')"
    check = f"import runpy, runner\nrunner.connect = None\n{run}"
    ended = subprocess.run(
        [sys.executable, "-c", check],
        env={
            "PYTHONPATH": str(HERE),
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    return None if last == "TypeError: 'NoneType' object is not callable" else last


@pytest.mark.parametrize(("program", "environment"), PROGRAMS)
def test_every_variable_is_required(program, environment, tmp_path):
    assert complaint(program, environment, tmp_path) is None
    for name in environment:
        without = {key: value for key, value in environment.items() if key != name}
        assert complaint(program, without, tmp_path) == f"{name} is not set"
        if name != "KRT_NATS_OUTPUT":
            empty = complaint(program, {**environment, name: ""}, tmp_path)
            assert empty is not None and name in empty, name


def test_a_last_node_has_an_empty_output(tmp_path):
    for program, environment in PROGRAMS[:2]:
        assert complaint(program, {**environment, "KRT_NATS_OUTPUT": ""}, tmp_path) is None


@pytest.mark.parametrize(
    ("program", "name", "value"),
    [
        ("core_node.py", "KRT_MONGO_URI", "127.0.0.1:27017"),
        ("core_node.py", "KRT_INFLUX_URI", "127.0.0.1:8086"),
        ("core_node.py", "KRT_INFLUX_URI", "http://127.0.0.1:8086?org=us"),
        ("jetstream_node.py", "KRT_IS_LAST_NODE", "True"),
        ("core_entrypoint.py", "KRT_REQUEST_TIMEOUT", "0.5"),
        ("core_entrypoint.py", "KRT_NATS_SUBJECTS_FILE", "nowhere.json"),
    ],
)
def test_unusable_values(program, name, value, tmp_path):
    environment = {**dict(PROGRAMS)[program], name: value}
    assert complaint(program, environment, tmp_path) is not None


@pytest.mark.parametrize("subjects", ["", "Greet=a", '["a"]', '{"Greet": 1}', '{"Greet": ""}'])
def test_invalid_files_of_subjects(subjects, tmp_path):
    said = complaint("core_entrypoint.py", ENTRYPOINT, tmp_path, subjects)
    assert said is not None and "the file of subjects" in said


def test_a_subject_of_another_stream(tmp_path):
    subjects = json.dumps({"Greet": "shop-v1-Greet.one"})
    said = complaint("jetstream_entrypoint.py", ENTRYPOINT, tmp_path, subjects)
    assert said == "'shop-v1-Greet.one' is no subject of the stream 'shop-shop-v1-Greet'"
