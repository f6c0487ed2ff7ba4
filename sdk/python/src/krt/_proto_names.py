"""Which modules the package's `.proto` files are imported as.

Reads no more of the descriptors than the files' names and does not import protobuf: it is asked
about every module that is not found, also while protobuf itself is being imported.
"""

from __future__ import annotations

from collections.abc import Iterator

_SUFFIX = "_pb2"
_FIRST_FIELD = 0x0A
"""The tag of field 1 with a length: a set's file, and a file's name."""


class ProtoNames:
    """The files of a serialized `FileDescriptorSet`, by the module that protoc would generate."""

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
        """Find the file that a module is generated from.

        A module may stand in another folder than its `.proto`, since protoc can be told to put it
        anywhere: its last name is enough if only one file has it.
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
    """Name the module that protoc generates for a file."""
    return name.removesuffix(".proto").replace("-", "_").replace("/", ".") + _SUFFIX


def read_names(descriptors: bytes) -> Iterator[str]:
    """Read the names of a set's files, which serializers write first in each."""
    position = 0
    while position < len(descriptors):
        start, end = _field(descriptors, position)
        name_start, name_end = _field(descriptors, start)
        yield descriptors[name_start:name_end].decode()
        position = end


def _field(data: bytes, position: int) -> tuple[int, int]:
    """Where the content of the field that begins at `position` starts and ends."""
    if data[position] != _FIRST_FIELD:
        raise ValueError("this is no FileDescriptorSet as serializers write it")
    size = shift = 0
    while True:
        position += 1
        size |= (data[position] & 0x7F) << shift
        shift += 7
        if data[position] < 0x80:
            return position + 1, position + 1 + size
