"""The licences of what the binary contains: crates, and packages of the dashboard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from project import ROOT, metadata

RULE = "=" * 80 + "\n"
# The text of this licence is this project's LICENSE, for components that bring no file.
SHARED = "Apache-2.0"
UNNAMED = "see its text"


class Component(NamedTuple):
    """A crate or package in the binary."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]


def crates(target: str) -> Iterator[Component]:
    """The crates from a registry that the command is linked with, on a platform."""
    linked = [package for package in tree(target) if package["source"]]
    found = {package["id"]: texts(Path(package["manifest_path"]).parent) for package in linked}
    # Some crates leave their licence in the repository, where a sibling has it.
    shared = {of["repository"]: found[of["id"]] for of in linked if found[of["id"]]}
    for package in linked:
        licence = package["license"] or UNNAMED
        text = found[package["id"]] or shared.get(package["repository"], ())
        yield Component(package["name"], package["version"], licence, text)


def tree(target: str) -> list[dict]:
    """The command's dependencies, less those of build scripts, tests and the compiler."""
    words = ["cargo", "tree", "--locked", "--package", "krt-cli", "--target", target]
    words += ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    listed = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    # Such as `tokio v1.52.0` or `krt-model v0.1.0 (/folder)`.
    names = {tuple(line.split(" ")[:2]) for line in listed.splitlines()}
    packages = metadata()["packages"]
    return [of for of in packages if (of["name"], f"v{of['version']}") in names]


def dashboard() -> Iterator[Component]:
    """The packages in the dashboard's pages, if they are built."""
    if not (ROOT / "dashboard/dist/index.html").exists():
        return
    lock = json.loads((ROOT / "dashboard/package-lock.json").read_text())
    for place, package in lock["packages"].items():
        if place and not package.get("dev") and not package.get("optional"):
            name = place.rpartition("node_modules/")[2]
            licence = package.get("license", UNNAMED)
            yield Component(name, package["version"], licence, texts(ROOT / "dashboard" / place))


def texts(folder: Path) -> tuple[str, ...]:
    """The licence files of a component."""
    names = ("licen", "copying", "notice", "unlicense")
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(names)
    )
    return tuple(path.read_text(errors="replace").strip() + "\n" for path in files)


def third_party(target: str) -> str:
    """The licences of what a platform's binary contains."""
    return text([*crates(target), *dashboard()])


def text(components: list[Component]) -> str:
    """The components and their licences, each licence once. Fails for a component without any."""
    ours = (ROOT / "LICENSE").read_text()
    by_text: dict[str, list[Component]] = {}
    for component in sorted(set(components)):
        found = component.texts or ((ours,) if SHARED in component.licence else ())
        if not found and component.licence == UNNAMED:
            raise ValueError(f"{component.name} {component.version} has no licence")
        found = found or (f"No licence file. The package names its licence: {component.licence}\n",)
        for licence in found:
            by_text.setdefault(licence, []).append(component)
    lines = ["krt contains the components in this list.\n\n"]
    lines += [f"{of.name} {of.version}: {of.licence}\n" for of in sorted(set(components))]
    for licence, users in by_text.items():
        names = "".join(f"{of.name} {of.version}\n" for of in users)
        lines += ["\n", RULE, names, RULE, "\n", licence]
    return "".join(lines)
