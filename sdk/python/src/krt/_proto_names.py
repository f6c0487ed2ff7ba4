"""Maps module names to the package's `.proto` files.

Reads only the file names from the descriptors and does not import protobuf: every failed import
asks it, even while protobuf itself is being imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_SUFFIX = "_pb2"
_PROTO = ".proto"
_SET = "package.binpb"
_FIRST_FIELD = 0x0A
"""The tag of field 1 with a length: a file in a set, and the name of a file."""


class ProtoNames:
    """The files of a serialized `FileDescriptorSet`, by protoc's module name."""

    def __init__(self, descriptors: bytes) -> None:
        self._modules = {module_of(name): name for name in read_names(descriptors)}
        self._last: dict[str, list[str]] = {}
        for module, name in self._modules.items():
            self._last.setdefault(module.rpartition(".")[2], []).append(name)
        self._folders = {
            module.rsplit(".", cut)[0]
            for module in self._modules
            for cut in range(1, module.count(".") + 1)
        }

    def file_of(self, module: str) -> str | None:
        """Finds the source file of a module.

        A module may be in another folder than its `.proto`, since protoc can write it anywhere: its
        last name is enough if only one file has it.
        """
        exact = self._modules.get(module)
        if exact is not None:
            return exact
        alike = self._last.get(module.rpartition(".")[2], [])
        return alike[0] if len(alike) == 1 else None

    def is_folder(self, package: str) -> bool:
        """Whether a package holds modules of `.proto` files."""
        return package in self._folders


def module_of(name: str) -> str:
    """Returns protoc's module name for a file."""
    stem = name[: -len(_PROTO)] if name.endswith(_PROTO) else name
    return stem.replace("-", "_").replace("/", ".") + _SUFFIX


def read_set(folder: str) -> bytes:
    """Reads the descriptors from a folder of modules that the engine made."""
    with open(os.path.join(folder, _SET), "rb") as file:
        return file.read()


def read_names(descriptors: bytes) -> Iterator[str]:
    """Reads the names of the files in a set; serializers write the name first."""
    position = 0
    while position < len(descriptors):
        start, end = _field(descriptors, position)
        name_start, name_end = _field(descriptors, start)
        yield descriptors[name_start:name_end].decode()
        position = end


def _field(data: bytes, position: int) -> tuple[int, int]:
    """Returns the start and the end of the content of the field at `position`."""
    if data[position] != _FIRST_FIELD:
        raise ValueError("this is no FileDescriptorSet as serializers write it")
    size = shift = 0
    while True:
        position += 1
        size |= (data[position] & 0x7F) << shift
        shift += 7
        if data[position] < 0x80:
            return position + 1, position + 1 + size
