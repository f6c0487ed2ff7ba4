"""Runs the steps of the integrations as GitHub and GitLab do, with a release served here."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from project import ROOT

ACTION = yaml.safe_load((ROOT / "integrations/github/action.yml").read_text())


@pytest.fixture
def package(krt, tmp_path) -> Path:
    """A new package."""
    subprocess.run([krt, "new", "shop"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "shop"


class GitHub:
    """A machine that runs the steps of the action."""

    def __init__(self, home: Path, **inputs: str):
        self.home = home
        defaults = {name: value["default"] for name, value in ACTION["inputs"].items()}
        self.inputs = {**defaults, **inputs}
        self.paths = home / "paths"
        self.paths.touch()

    def step(self, name: str) -> subprocess.CompletedProcess:
        """Runs a step."""
        (step,) = (step for step in ACTION["runs"]["steps"] if step["name"] == name)
        assert step["shell"] == "bash"
        path = os.pathsep.join([*self.paths.read_text().split(), os.environ["PATH"]])
        variables = {
            **os.environ,
            "PATH": path,
            "HOME": str(self.home),
            "GITHUB_PATH": str(self.paths),
        }
        variables |= {name: self.evaluate(value) for name, value in step["env"].items()}
        # GitHub's own way to start bash.
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(words, cwd=self.home, env=variables, capture_output=True, text=True)

    def evaluate(self, expression: str) -> str:
        """The value of an expression that begins with an input."""
        found = re.fullmatch(r"\$\{\{ inputs\.(\w+)( \|\| .*)? \}\}", expression)
        assert found, expression
        return self.inputs[found[1]]


def test_the_action_checks_tests_and_packs(package, served, tmp_path):
    machine = GitHub(tmp_path, package="shop", archive="shop.krt", url=served)
    for step in ACTION["runs"]["steps"]:
        ended = machine.step(step["name"])
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / ".local/bin/krt").exists()
    assert (tmp_path / "shop.krt").is_file()


def test_the_action_shows_each_problem_at_its_line(package, served, tmp_path):
    manifest = package / "krt.yml"
    manifest.write_text(manifest.read_text().replace("main.py", "100%.py"))
    machine = GitHub(tmp_path, package="shop", url=served)
    assert machine.step("Install krt").returncode == 0
    ended = machine.step("Check the package")
    assert ended.returncode == 1
    line = next(
        number for number, text in enumerate(manifest.read_text().splitlines(), 1) if "100%" in text
    )
    assert re.match(rf"::error file=shop/krt\.yml,line={line}::.*100%25.*", ended.stdout), (
        ended.stdout
    )


def test_the_job_of_gitlab_checks_tests_and_packs(package, served, tmp_path):
    text = (ROOT / "integrations/gitlab/krt.yml").read_text()
    specification, jobs = text.split("\n---\n")
    inputs = yaml.safe_load(specification)["spec"]["inputs"]
    values = {name: value.get("default") for name, value in inputs.items()}
    values |= {"url": served, "package": "shop", "archive": "shop.krt"}
    for name, value in values.items():
        jobs = jobs.replace(f"$[[ inputs.{name} ]]", value)
    assert "$[[" not in jobs
    job = yaml.safe_load(jobs)["krt"]
    variables = {**os.environ, **job["variables"], "HOME": str(tmp_path)}
    # GitLab puts its own variables into those of the job.
    variables["KRT_CACHE"] = os.environ.get("KRT_CACHE", str(tmp_path / "cache"))
    variables["KRT_INSTALL_DIR"] = str(tmp_path / "bin")
    script = "\n".join(["set -eo pipefail", *job["script"]])
    ended = subprocess.run(
        ["bash"], input=script, cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [tmp_path / path for path in job["artifacts"]["paths"]] == [tmp_path / "shop.krt"]
    assert (tmp_path / "shop.krt").is_file()


def test_editors_find_the_schema_that_krt_writes(package):
    (schema,) = json.loads((ROOT / "integrations/editors/settings.json").read_text())[
        "yaml.schemas"
    ]
    assert json.loads((package / schema).read_text())["$schema"]
