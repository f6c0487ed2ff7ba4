"""Draws the sequence diagrams of the pages, which are written in Mermaid's language, as SVG.

It knows what the pages use: participants, messages with `->>` (solid) and `-->>` (dashed), and
notes over participants. The site needs no script and no network; GitHub draws the same text itself.
"""

from __future__ import annotations

import re
from html import escape
from textwrap import wrap

from docutils import nodes
from docutils.parsers.rst import Directive

COLUMN, ROW, TOP, CHARACTER = 164, 44, 40, 6.6
PARTICIPANT = re.compile(r"participant (\w+)(?: as (.+))?$")
MESSAGE = re.compile(r"(\w+)(--?>>)(\w+): (.+)$")
NOTE = re.compile(r"Note over (\w+)(?:,(\w+))?: (.+)$")


def draw(text: str) -> str:
    """Returns the SVG of a diagram."""
    names: list[str] = []
    titles: list[str] = []
    parts: list[str] = []
    y = TOP + ROW
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line == "sequenceDiagram":
            continue
        if found := PARTICIPANT.match(line):
            names.append(found[1])
            titles.append(found[2] or found[1])
        elif found := MESSAGE.match(line):
            dashed = len(found[2]) == 4
            ends = (names.index(found[1]), names.index(found[3]))
            parts.append(_message(*ends, found[4], y, dashed))
            y += ROW
        elif found := NOTE.match(line):
            ends = (names.index(found[1]), names.index(found[2] or found[1]))
            parts.append(_note(*ends, found[3], y))
            y += ROW
        else:
            raise ValueError(f"a line of a diagram that is not known: {line}")
    heads = [_participant(place, title, y) for place, title in enumerate(titles)]
    width, height = COLUMN * len(names), y + 10
    return (
        f'<svg class="sequence" role="img" viewBox="0 0 {width} {height}" '
        'style="width:100%;color:inherit" font-family="sans-serif" font-size="12">'
        + "".join(heads + parts)
        + "</svg>"
    )


def _x(place: int) -> int:
    return COLUMN * place + COLUMN // 2


def _participant(place: int, title: str, bottom: int) -> str:
    x = _x(place)
    return (
        f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="currentColor" opacity="0.3"/>'
        f'<rect x="{x - 66}" y="10" width="132" height="30" rx="4" fill="none" '
        'stroke="currentColor"/>'
        f'<text x="{x}" y="29" text-anchor="middle" fill="currentColor">{escape(title)}</text>'
    )


def _message(start: int, end: int, text: str, y: int, dashed: bool) -> str:
    left, right = _x(start), _x(end)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    if start == end:
        path = f"M{left} {y - 8} h24 v12 h-18"
        line = f'<path d="{path}" fill="none" stroke="currentColor"{dash}/>'
        tip, words = _tip(left, y + 4, -1), _text(left + 30, y, text, "start")
        return line + tip + words
    direction = 1 if right > left else -1
    line = f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="currentColor"{dash}/>'
    return line + _tip(right, y, direction) + _text((left + right) // 2, y - 6, text, "middle")


def _tip(x: int, y: int, direction: int) -> str:
    back = x - 8 * direction
    return f'<path d="M{x} {y} L{back} {y - 4} L{back} {y + 4} z" fill="currentColor"/>'


def _note(start: int, end: int, text: str, y: int) -> str:
    left, right = _x(start) - 66, _x(end) + 66
    lines = wrap(text, int((right - left) / CHARACTER)) or [""]
    box = (
        f'<rect x="{left}" y="{y - 22}" width="{right - left}" height="{14 * len(lines) + 8}" '
        'rx="3" fill="currentColor" fill-opacity="0.08"/>'
    )
    middle = (left + right) // 2
    return box + "".join(
        _text(middle, y - 7 + 14 * number, line, "middle") for number, line in enumerate(lines)
    )


def _text(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


class Diagram(Directive):
    """The block `mermaid`."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Returns the drawing."""
        return [nodes.raw("", draw("\n".join(self.content)), format="html")]
