"""A build backend without dependencies, for a project of one module; pyproject.toml has the name and version.

A file `hold` next to it suspends the build until the file is removed; `started` then has the process id.
"""
import os
import re
import time
import zipfile

FOLDER = os.path.dirname(os.path.abspath(__file__))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, version = _definition()
    if os.path.exists(os.path.join(FOLDER, "hold")):
        with open(os.path.join(FOLDER, "started.new"), "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.path.join(FOLDER, "started.new"), os.path.join(FOLDER, "started"))
    deadline = time.monotonic() + 60
    while os.path.exists(os.path.join(FOLDER, "hold")) and time.monotonic() < deadline:
        time.sleep(0.01)
    file_name = "%s-%s-py3-none-any.whl" % (name, version)
    info = "%s-%s.dist-info" % (name, version)
    with zipfile.ZipFile(os.path.join(wheel_directory, file_name), "w") as archive:
        archive.writestr(name + ".py", "version = %r\n" % version)
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version))
        archive.writestr(
            info + "/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(info + "/RECORD", "")
    return file_name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return build_wheel(wheel_directory)


def _definition():
    with open(os.path.join(FOLDER, "pyproject.toml")) as file:
        text = file.read()
    return [re.search(r"^%s = '(.*)'" % key, text, re.M).group(1) for key in ("name", "version")]
