"""The bill of materials, in CycloneDX's format."""

from __future__ import annotations

import json

import licences
from project import ROOT


def complete(text: str) -> str:
    """What maturin writes about the crates, with the packages of the dashboard.

    Crates of the workspace are named by their folders, which depend on the machine.
    """
    bill = json.loads(text.replace(ROOT.as_uri(), "file:///krt"))
    bill["components"] += [component(package) for package in licences.dashboard()]
    return json.dumps(bill, indent=2) + "\n"


def component(package: licences.Component) -> dict:
    """A package of npm. A scope is a namespace of package URLs, whose `@` is escaped."""
    reference = f"pkg:npm/{package.name.replace('@', '%40')}@{package.version}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "licenses": [{"expression": package.licence}],
        "purl": reference,
    }
