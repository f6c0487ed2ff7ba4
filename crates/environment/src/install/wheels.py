"""Tells which pins have no wheel for some versions of Python, by pip. Runs in any Python that pip knows."""
import json
import os
import re
import shlex
import sys
import tempfile

try:
    from multiprocessing import get_context

    from pip._internal.cli.main import main
    from pip._vendor.packaging.markers import default_environment
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.version import Version
except ImportError:
    sys.exit(1)


def wanted(line, python):
    """The requirement of a line, if it holds for a Python."""
    requirement = Requirement(line)
    environment = default_environment()
    environment.update(python_version=python, python_full_version=python + ".0", extra="")
    if requirement.marker is not None and not requirement.marker.evaluate(environment):
        return None
    return requirement


def versions(arguments):
    """What pip finds: it lists all that would do when it finds no version below all versions."""
    name, python, sources = arguments
    with tempfile.TemporaryFile() as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
        words = ["download", "--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"]
        words += ["--dest", tempfile.gettempdir(), "--python-version", python] + sources
        try:
            main(words + [name + "<0"])
        except SystemExit:
            pass
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    found = re.search(r"\(from versions: ([^)]*)\)", text)
    if not found:
        return None
    return [] if found.group(1) == "none" else [version.strip() for version in found.group(1).split(",")]


def lacks(requirement, found):
    """Whether the one version that is asked for is not among those found."""
    pinned = [item.version for item in requirement.specifier if item.operator in ("==", "===")]
    if not pinned:
        return False
    return not any(Version(version) in requirement.specifier or version == pinned[0] for version in found)


def run():
    order = json.load(sys.stdin)
    sources = [word for line in order["sources"] for word in shlex.split(line)]
    asked = [(line, wanted(line, python), python) for python in order["pythons"] for line in order["pins"]]
    asked = [(line, requirement, python) for line, requirement, python in asked if requirement is not None]
    lacking = {python: [] for python in order["pythons"]}
    if not asked:
        return lacking
    names = sorted({(requirement.name, python) for _, requirement, python in asked})
    with get_context("fork").Pool(min(6, len(names))) as pool:
        found = pool.map(versions, [(name, python, sources) for name, python in names], 1)
    if None in found:
        sys.exit(1)
    known = dict(zip(names, found))
    for line, requirement, python in asked:
        if lacks(requirement, known[(requirement.name, python)]):
            lacking[python].append(line)
    return lacking


print(json.dumps(run()))
