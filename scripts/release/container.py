"""Starts an image that a release made, by runc.

For root on Linux: the container gets namespaces of its own, and no network but the loopback.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image import DATA
from project import say

NAME = "krt-of-a-release"
# Seconds until the server must have ended: longer than it waits for requests in flight.
PATIENCE = 60
PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
# What the server logs when it can be called from outside the container.
LISTENING = ("listening on 0.0.0.0:9000", "the dashboard is at http://0.0.0.0:9001")


def start(image: Path) -> None:
    """Starts the server of an image, and calls it in its container."""
    if not can_start():
        say(f"{image}: not started, which takes root and runc")
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        serve(bundle, unpack(image, PROCESSORS[platform.machine()], bundle / "rootfs"))
    say(f"{image}: its server answers")


def can_start() -> bool:
    """Whether this machine starts containers."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("runc") is not None


def unpack(image: Path, architecture: str, root: Path) -> dict:
    """Unpacks the layers of an architecture; returns the image's configuration."""
    with tarfile.open(image) as layout:

        def follow(descriptor: dict) -> bytes:
            entry = "blobs/" + descriptor["digest"].replace(":", "/")
            return layout.extractfile(entry).read()

        (top,) = json.load(layout.extractfile("index.json"))["manifests"]
        (described,) = (
            found
            for found in json.loads(follow(top))["manifests"]
            if found["platform"]["architecture"] == architecture
        )
        manifest = json.loads(follow(described))
        for layer in manifest["layers"]:
            packed = io.BytesIO(gzip.decompress(follow(layer)))
            with tarfile.open(fileobj=packed) as files:
                files.extractall(root, filter="fully_trusted")
        return json.loads(follow(manifest["config"]))["config"]


def serve(bundle: Path, config: dict) -> None:
    """Runs what a container runs by default, and calls it."""
    words = [*config["Entrypoint"], *config["Cmd"], "--insecure"]
    (bundle / "config.json").write_text(json.dumps(specification(config, words)))
    with running(bundle) as runc:
        sign_in(runc, bundle / "rootfs" / DATA[1:] / "admin-password")


def specification(config: dict, words: list[str]) -> dict:
    """The container, as runc reads it."""
    user, _, group = config["User"].partition(":")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": words,
            "env": config["Env"],
            "cwd": config["WorkingDir"],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "namespaces": [
                {"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup")
            ]
        },
    }


@contextmanager
def running(bundle: Path) -> Iterator[list[str | Path]]:
    """Runs a container until the block ends; gives the words that start runc for it.

    Its first process must end by itself when it gets SIGTERM.
    """
    runc = ["runc", "--root", bundle / "state"]
    started = [*runc, "run", "--bundle", bundle, NAME]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            wait_for_lines(process.stdout, LISTENING)
            yield runc
            subprocess.run([*runc, "kill", NAME, "TERM"], check=True)
            if process.wait(timeout=PATIENCE):
                raise SystemExit(f"error: the container ended with status {process.returncode}")
        finally:
            subprocess.run([*runc, "delete", "--force", NAME], check=True, capture_output=True)


def wait_for_lines(output: Iterator[bytes], wanted: tuple[str, ...]) -> None:
    """Reads until each text stood in a line."""
    missing, seen = set(wanted), []
    for line in output:
        seen.append(line.decode())
        missing = {text for text in missing if text not in seen[-1]}
        if not missing:
            return
    raise SystemExit("error: the container ended too soon:\n" + "".join(seen))


def sign_in(runc: list[str | Path], password: Path) -> None:
    """Calls the server by the command in the container."""
    krt = [*runc, "exec", NAME, "/usr/bin/krt"]
    with password.open() as typed:
        subprocess.run([*krt, "login"], stdin=typed, check=True, capture_output=True)
    subprocess.run([*krt, "runtime", "ls"], check=True, capture_output=True)
