"""A release of stand-ins for binaries, and the real binary that describes them."""

from __future__ import annotations

import functools
import http.server
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import publish
from project import version

GNU, MUSL = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"
MAC = "aarch64-apple-darwin"
URL = "https://example.com/krt/releases/download/v1"
EPOCH = 1_700_000_000
# Says which platform it is for, and does what the real binary does.
STAND_IN = """#!/bin/sh
if [ "$1" = platform ]; then
    echo {target}
else
    exec {krt} "$@"
fi
"""


@pytest.fixture(scope="session")
def krt() -> Path:
    """The binary."""
    return Path(os.environ["KRT"]).resolve()


@pytest.fixture(scope="session")
def builds(krt, tmp_path_factory) -> Path:
    """What builds leave for three platforms."""
    folder = tmp_path_factory.mktemp("builds")
    for target in (GNU, MUSL, MAC):
        (folder / target).mkdir()
        (folder / target / "krt").write_text(STAND_IN.format(krt=krt, target=target))
        (folder / target / "krt").chmod(0o755)
        (folder / target / "krt.debug").write_bytes(b"symbols")
        make_wheel(folder / target, target)
    return folder


def make_wheel(folder: Path, target: str) -> None:
    """A wheel with what a release reads of it."""
    name = f"krt_runtime-{version()}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-{target}.whl", "w") as wheel:
        wheel.writestr(f"{name}.dist-info/sboms/krt-cli.cyclonedx.json", "a bill")
        wheel.writestr(f"{name}.dist-info/licenses/THIRD-PARTY", "licences")


@pytest.fixture(scope="session")
def release(builds, krt, tmp_path_factory) -> Path:
    """The files of a release."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
        folder = tmp_path_factory.mktemp("published")
        publish.publish(builds, folder, krt, URL)
    return folder


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="session")
def served(release) -> Iterator[str]:
    """The address of a server with the release."""
    files = functools.partial(Files, directory=str(release))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
