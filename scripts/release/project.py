"""What the other files know of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What `build.py` leaves for each platform, and what is published.
BUILDS = ROOT / "target/builds"
PUBLISHED = ROOT / "target/published"
NAME = "krt"
SUMMARY = "Run Python, Go and Rust functions as a gRPC and HTTP service"
LICENCE = "Apache-2.0"


@cache
def metadata() -> dict:
    """The workspace and its dependencies, as Cargo describes them."""
    words = ["cargo", "metadata", "--locked", "--format-version", "1"]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


@cache
def version() -> str:
    """The version of the command."""
    return next(
        package["version"] for package in metadata()["packages"] if package["name"] == "krt-cli"
    )


@cache
def release_url() -> str:
    """The folder of the release's files, if no other is named."""
    packages = metadata()["packages"]
    repository = next(package["repository"] for package in packages if package["name"] == "krt-sdk")
    return f"{repository}/releases/download/v{version()}"


def epoch() -> int:
    """The time of the commit, in seconds. All published files have it."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    asked = ["git", "-C", ROOT, "log", "-1", "--format=%ct"]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def say(words: str) -> None:
    """A line for the person who makes the release."""
    print(words, file=sys.stderr, flush=True)
