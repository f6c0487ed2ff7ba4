"""Reads Python files that some version of protoc has generated, without running them.

All of them, of whatever age, hold the file's descriptor as one bytes literal. Old ones (before
3.20) pass it as `serialized_pb=` to `FileDescriptor`, newer ones to `AddSerializedFile`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

_KEYWORD = "serialized_pb"
_METHOD = "AddSerializedFile"


class Generated(NamedTuple):
    """What a generated file says."""

    descriptor: bytes
    """A serialized `FileDescriptorProto`."""
    imports: list[CodeType]
    """Its imports of other generated files, to run in turn."""


def read(source: bytes) -> Generated | None:
    """Finds the descriptor; `None` if the file has none, or is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    descriptor = next(_descriptors(tree), None)
    return None if descriptor is None else Generated(descriptor, list(_imports(tree)))


def _descriptors(tree: ast.Module) -> Iterator[bytes]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        candidates = [word.value for word in node.keywords if word.arg == _KEYWORD]
        if isinstance(node.func, ast.Attribute) and node.func.attr == _METHOD:
            candidates += node.args[:1]
        for candidate in candidates:
            value = _literal(candidate)
            if value is not None:
                yield value


def _literal(node: ast.expr) -> bytes | None:
    """The bytes; the oldest files wrap them as `_b('…')`, a text of the characters 0 to 255."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        return value.encode("latin-1")
    return value if isinstance(value, bytes) else None


def _imports(tree: ast.Module) -> Iterator[CodeType]:
    for node in tree.body:
        names = [alias.name for alias in getattr(node, "names", ())]
        module = getattr(node, "module", None)
        if (isinstance(node, ast.Import) and all(name.endswith("_pb2") for name in names)) or (
            isinstance(node, ast.ImportFrom)
            and ((module or "").endswith("_pb2") or all(name.endswith("_pb2") for name in names))
        ):
            yield _compiled(node)


def _compiled(node: ast.stmt) -> CodeType:
    return compile(ast.Module(body=[node], type_ignores=[]), "<generated>", "exec")
