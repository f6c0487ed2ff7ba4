"""The page of the SDK for Go, made from what `go doc` prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

DECLARATION = re.compile(
    r"(?:func (?:\((?:\w+ )?\*?(\w+)\) )?(\w+)|type (\w+)|(?:const|var) ?(\w*))"
)


def render(module: Path, package: str) -> str:
    """Returns the documentation of a package of a module as Markdown."""
    command = ["go", "doc", "-all", package]
    text = subprocess.run(command, cwd=module, check=True, capture_output=True, text=True).stdout
    return "\n".join(_lines(text)) + "\n"


def _lines(text: str) -> Iterator[str]:
    head, *parts = re.split(r"^(CONSTANTS|VARIABLES|FUNCTIONS|TYPES)$", text, flags=re.MULTILINE)
    yield from _prose(head.split("\n", 1)[1])
    for title, body in zip(parts[::2], parts[1::2]):
        yield f"\n## {title.capitalize()}\n"
        yield from _declarations(body)


def _declarations(body: str) -> Iterator[str]:
    """Each declaration stands at the margin; what is said of it is indented by four spaces."""
    code: list[str] = []
    words: list[str] = []
    for line in [*body.strip("\n").split("\n"), "end"]:
        starts = bool(DECLARATION.match(line)) or line == "end"
        if starts and code:
            yield from _declaration(code, words)
            code, words = [], []
        if line.startswith("    ") or (not line and words):
            words.append(line)
        elif starts or line:
            code.append(line)


def _declaration(code: list[str], words: list[str]) -> Iterator[str]:
    found = DECLARATION.match(code[0])
    if found:
        receiver, function, kind, value = found.groups()
        name = f"{receiver}.{function}" if receiver else function or kind or value
        if name:
            yield f"\n### `{name}`\n"
    yield "```go"
    yield from code
    yield "```\n"
    yield from _prose("\n".join(words))


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; what is indented deeper than the others is code."""
    lines = text.strip("\n").split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    code = False
    for line in (line[margin:] for line in lines):
        deeper = line.startswith(("    ", "\t")) or (code and not line)
        if deeper and not code:
            yield "```go"
        elif code and not deeper:
            yield "```\n"
        code = deeper
        yield line[4:] if code and line.startswith("    ") else line
    if code:
        yield "```"
