"""What a newcomer does with the wheel, in an empty environment of each Python, without compilers.

`KRT_WHEEL` names the wheel (`make test-wheel` builds it).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
TIMEOUT = 300


def find_pythons() -> dict[str, Path]:
    """The interpreters of this machine, by minor version: on PATH, or pyenv's."""
    found: dict[str, Path] = {}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    below_pyenv = sorted(root.glob("versions/3.*/bin/python"))
    folders = os.environ["PATH"].split(os.pathsep)
    on_path = [Path(folder, f"python{version}") for folder in folders for version in PYTHONS]
    for python in [*below_pyenv, *on_path]:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        if python.is_file():
            asked = subprocess.run([python, "-c", code], capture_output=True, text=True)
            if asked.returncode == 0 and asked.stdout.strip() in PYTHONS:
                found.setdefault(asked.stdout.strip(), python)
    return found


class Installed(NamedTuple):
    """An environment with the wheel, and nothing else on PATH but the system's folders."""

    folder: Path
    variables: dict[str, str]

    def run(self, *words: str, cwd: Path, check: bool = True) -> str:
        """Runs a program of the environment to its end; returns its standard output."""
        ended = subprocess.run(
            words, cwd=cwd, env=self.variables, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert ended.returncode == 0 or not check, f"{words}: {ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def serve(self, package: Path) -> Service:
        """Starts `krt run` on a free port, and waits until it listens."""
        data = self.folder / "data" / package.name
        process = subprocess.Popen(
            [
                "krt",
                "run",
                package,
                "--listen",
                "127.0.0.1:0",
                "--data",
                data,
                "--log-format",
                "json",
            ],
            cwd=self.folder,
            env=self.variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = []
        for line in process.stderr:
            lines.append(line)
            found = re.search(r"listening on ([\d.:]+)", line)
            if found:
                return Service(process, found.group(1))
        raise AssertionError("".join(lines))


class Service(NamedTuple):
    """A running service."""

    process: subprocess.Popen
    address: str

    def stop(self) -> int:
        """Ends it as Ctrl-C in a terminal does; returns its status."""
        self.process.terminate()
        self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request, tmp_path_factory) -> Iterator[Installed]:
    """The wheel in an empty environment of a Python."""
    python = find_pythons().get(request.param)
    if python is None:
        if os.environ.get("KRT_TEST_SERVERS") and request.param == "{}.{}".format(
            *sys.version_info
        ):
            pytest.fail(f"Python {request.param} was not found")
        pytest.skip(f"Python {request.param} is not installed")
    folder = tmp_path_factory.mktemp(f"python{request.param}")
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    install = [folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, os.environ["KRT_WHEEL"]], check=True)
    # The system's folders may have compilers; links to what a laptop without any has do not.
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "env", "uname", "ldd"):
        for source in (Path("/bin", name), Path("/usr/bin", name)):
            if source.exists() and not (tools / name).exists():
                (tools / name).symlink_to(source)
    kept = ("LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    variables = {name: os.environ[name] for name in os.environ if name in kept}
    variables.update(
        PATH=f"{folder / 'venv/bin'}{os.pathsep}{tools}",
        HOME=str(folder),
        KRT_CACHE=str(folder / "cache"),
    )
    yield Installed(folder, variables)


def test_a_new_package_is_tested_served_and_called(installed):
    folder = installed.folder
    installed.run("krt", "new", "shop", cwd=folder)
    package = folder / "shop"
    installed.run("krt", "test", ".", cwd=package)
    service = installed.serve(package)
    answer = installed.run(
        "krt", "call", "--address", service.address, "Greet", '{"name": "Ada"}', cwd=folder
    )
    assert "Ada" in json.dumps(json.loads(answer))
    assert service.stop() == 0


def test_the_import_package_is_typed_and_tests_handlers(installed):
    code = (
        "import krt, krt.testing, importlib.metadata as m, pathlib;"
        "assert m.version('krt-runtime') == krt.__version__;"
        "assert (pathlib.Path(krt.__file__).parent / 'py.typed').is_file();"
        "print(krt.Context.__name__)"
    )
    assert installed.run("python", "-c", code, cwd=installed.folder) == "Context\n"


def test_the_binary_says_what_it_has_and_what_is_missing(installed):
    report = json.loads(installed.run("krt", "doctor", "--json", cwd=installed.folder))
    assert report["krt"]["features"] == ["dashboard"]
    states = {program["name"]: program["state"] for program in report["programs"]}
    assert states["python"] == "found"
    assert states["cargo"] == "missing"


def test_the_dashboard_has_its_first_page(installed):
    service = subprocess.Popen(
        [
            "krt",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--dashboard",
            "127.0.0.1:0",
            "--data",
            installed.folder / "server",
        ],
        cwd=installed.folder,
        env={**installed.variables, "KRT_ADMIN_PASSWORD": "a password of forty letters"},
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in service.stderr:
        found = re.search(r"dashboard is at http://([\d.:]+)", line)
        if found:
            break
    with urllib.request.urlopen(f"http://{found.group(1)}/", timeout=TIMEOUT) as page:
        assert '<div id="root">' in page.read().decode()
    service.terminate()
    service.communicate(timeout=TIMEOUT)
    assert service.returncode == 0


def test_the_example_with_a_model_runs(installed):
    example = installed.folder / "digits"
    shutil.copytree(ROOT / "examples/digits", example)
    service = installed.serve(example)
    samples = (example / "samples/classify.jsonl").read_text().splitlines()
    words = ["krt", "call", "--address", service.address, "Classify", samples[0]]
    answer = json.loads(installed.run(*words, cwd=installed.folder))
    assert answer["digit"] in range(10)
    assert service.stop() == 0
    stored = installed.run(
        "krt", "data", "--data", installed.folder / "data/digits", cwd=installed.folder
    )
    assert "measurement" in stored
