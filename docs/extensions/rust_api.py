"""The page of the SDK for Rust, made from the public items of its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ITEM = re.compile(r"^( {4})?pub (?:async )?(?:const )?(fn|struct|enum|trait|type) (\w+)")
IMPLEMENTATION = re.compile(r"^impl(?:<[^>]*>)? (?:[\w:]+(?:<[^>]*>)? for )?(\w+)")
LINK = re.compile(r"\[(`[^`\]]+`)\](?:\((?:crate|Self|self|super)[^)]*\))?(?!\()")


def render(source: Path) -> str:
    """Returns the items that the crate's `lib.rs` makes public, as Markdown."""
    root = (source / "lib.rs").read_text()
    modules = re.findall(r"^pub use (\w+)::\{?([\w, ]+)\}?;$", root, flags=re.MULTILINE)
    own = {path.stem for path in source.glob("*.rs")}
    lines = [*_items(root, None)]
    for module, names in modules:
        if module in own:
            public = {name.strip() for name in names.split(",")}
            lines += _items((source / f"{module}.rs").read_text(), public)
    return "\n".join(lines) + "\n"


def _items(text: str, public: set[str] | None) -> Iterator[str]:
    """The items of a file; where `public` is given, those of these types only."""
    words: list[str] = []
    implemented, attribute, ended = "", False, True
    lines = iter(text.split("\n"))
    for line in lines:
        if found := IMPLEMENTATION.match(line):
            implemented = found[1]
        if line.lstrip().startswith("///"):
            words.append(line.strip().removeprefix("///").removeprefix(" "))
            continue
        found = ITEM.match(line)
        if found and words:
            indented, kind, name = found.groups()
            owner = implemented if indented else name
            if public is None or owner in public:
                title = f"{implemented}::{name}" if indented else name
                code = _declaration(line, lines, kind)
                yield f"\n## `{title}`\n\n```rust\n{code}\n```\n"
                yield LINK.sub(r"\1", "\n".join(_shown(words)))
        attribute = line.lstrip().startswith("#[") or (attribute and not ended)
        ended = line.rstrip().endswith("]")
        if not attribute:
            words = []
        if line.startswith("}"):
            implemented = ""


def _shown(words: list[str]) -> Iterator[str]:
    """The lines of a comment, with examples as rustdoc shows them: hidden lines are left out."""
    in_code = False
    for line in words:
        if line.startswith("```"):
            in_code = not in_code
            yield "```rust" if in_code else "```"
        elif not (in_code and re.match(r"#( |$)", line)):
            yield line


def _declaration(line: str, lines: Iterator[str], kind: str) -> str:
    """What stands before the body of an item."""
    indent = len(line) - len(line.lstrip())
    code = [line[indent:]]
    while kind in ("fn", "type") and not code[-1].endswith(("{", ";")):
        code.append(next(lines)[indent:])
    text = "\n".join(code)
    if kind != "type":
        text = re.sub(r"(\s*\{|;|\(pub\(crate\).*)$", "", text)
    return text.rstrip(" {;\n")
