"""The workflow of releases fits the Makefile and itself."""

from __future__ import annotations

import re
import subprocess

import build
import pytest
import yaml
from project import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
CONTEXTS = {"github", "matrix"}


def test_jobs_need_jobs_that_are_there():
    for name, job in JOBS.items():
        needed = job.get("needs", [])
        needed = [needed] if isinstance(needed, str) else needed
        assert set(needed) <= set(JOBS) - {name}
        assert job["timeout-minutes"] <= 120


def test_steps_call_targets_of_make():
    rules = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M)
    called = [
        target
        for _, step in STEPS
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    ]
    assert called == ["build-target", "publish"]
    assert set(called) <= set(rules)


@pytest.mark.parametrize("job", JOBS)
def test_expressions_name_what_is_there(job):
    matrix = JOBS[job].get("strategy", {}).get("matrix", {}).get("include", [])
    for expression in re.findall(r"\$\{\{(.*?)\}\}", yaml.safe_dump(JOBS[job])):
        for context, name in re.findall(r"\b([a-z]+)\.(\w+)", expression):
            assert context in CONTEXTS, expression
            assert context != "matrix" or all(name in entry for entry in matrix), expression


def test_steps_run_a_script_or_a_version_of_an_action():
    for _, step in STEPS:
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        else:
            script = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_what_is_tested_was_built():
    built, tested = (
        [entry["target"] for entry in JOBS[job]["strategy"]["matrix"]["include"]]
        for job in ("build", "test")
    )
    assert set(tested) <= set(built)
    assert len(set(built)) == len(built) == 6
    for target in built:
        assert "--compatibility" in build.wheel_options(target)


def test_only_a_tag_publishes():
    for _, step in STEPS:
        words = step.get("run", "") + step.get("uses", "")
        if re.search(r"gh release|skopeo|attest", words):
            assert step["if"] == "github.ref_type == 'tag'"
    assert WORKFLOW["permissions"] == {"contents": "read"}
