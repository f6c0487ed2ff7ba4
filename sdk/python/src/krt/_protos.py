"""The package's `.proto` files as descriptors, and modules made from them.

Imported only when a `*_pb2` module is missing or broken: reading descriptors takes time and memory
that most hosts never need.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.internal import builder

from ._proto_names import module_of

_GOOGLE = "google/protobuf/"


class Protos:
    """The files of a serialized `FileDescriptorSet`."""

    def __init__(self, descriptors: bytes) -> None:
        files = FileDescriptorSet.FromString(descriptors).file
        self._files = {file.name: file for file in files}

    def fill(self, module: ModuleType, name: str) -> None:
        """Makes the module of a file of the package."""
        _build(module, self._add(self._files[name]))

    def fill_from(self, module: ModuleType, descriptor: bytes) -> None:
        """Makes a module from a serialized descriptor."""
        _build(module, self._add(FileDescriptorProto.FromString(descriptor)))

    def _add(self, file: FileDescriptorProto) -> FileDescriptor:
        """Adds a file and what it imports to protobuf's pool.

        A file of that name that is there already is taken as it is: the pool holds only one, and
        its messages are in use.
        """
        pool = descriptor_pool.Default()
        for name in file.dependency:
            self._need(name)
        data = stripped(file).SerializeToString()
        try:
            pool.AddSerializedFile(data)
        except Exception as clash:  # Each implementation of protobuf raises one of its own.
            return _known(file, clash)
        return pool.FindFileByName(file.name)

    def _need(self, name: str) -> None:
        """Sees that an imported file is in the pool: as it is on disk, if it is there."""
        if _in_pool(name) is not None:
            return
        try:
            importlib.import_module(module_of(name))
        except ImportError:
            if name.startswith(_GOOGLE):
                raise
        if _in_pool(name) is not None:
            return
        if name not in self._files:
            raise ImportError(f"`{name}` is imported, but the package has no such file")
        self._add(self._files[name])


def stripped(file: FileDescriptorProto) -> FileDescriptorProto:
    """The file as generated code holds it: without source info, and without JSON names that say
    what is the default. Else the pool takes the same file, once from each, for two that clash.
    """
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    for extension in bare.extension:
        _strip_field(extension)
    for message in bare.message_type:
        _strip_message(message)
    return bare


def _strip_message(message: DescriptorProto) -> None:
    for field in (*message.field, *message.extension):
        _strip_field(field)
    for nested in message.nested_type:
        _strip_message(nested)


def _strip_field(field: Any) -> None:
    if field.json_name == default_json_name(field.name):
        field.ClearField("json_name")


def default_json_name(name: str) -> str:
    """The JSON name that protobuf gives a field by itself."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _in_pool(name: str) -> FileDescriptor | None:
    try:
        found: FileDescriptor = descriptor_pool.Default().FindFileByName(name)
    except KeyError:
        return None
    return found


def _known(file: FileDescriptorProto, clash: Exception) -> FileDescriptor:
    found = _in_pool(file.name) or _defining(file)
    if found is None:
        raise clash
    missing = {message.name for message in file.message_type} - set(found.message_types_by_name)
    if missing:
        raise ImportError(
            f"another version of `{file.name}` is loaded, without {', '.join(sorted(missing))}"
        ) from clash
    return found


def _defining(file: FileDescriptorProto) -> FileDescriptor | None:
    """The file in the pool that has this one's messages under another path."""
    prefix = f"{file.package}." if file.package else ""
    for name in [message.name for message in file.message_type]:
        try:
            found: FileDescriptor = descriptor_pool.Default().FindFileContainingSymbol(
                prefix + name
            )
        except KeyError:
            continue
        return found
    return None


def _build(module: ModuleType, file: FileDescriptor) -> None:
    names = vars(module)
    names["DESCRIPTOR"] = file
    builder.BuildMessageAndEnumDescriptors(file, names)
    builder.BuildTopDescriptorsAndMessages(file, module.__name__, names)
    for public in file.public_dependencies:
        _republish(module, public)


def _republish(module: ModuleType, public: FileDescriptor) -> None:
    """`import public` makes another file's names this one's too."""
    source = importlib.import_module(module_of(public.name))
    for name, value in vars(source).items():
        if not name.startswith("_") and name != "DESCRIPTOR":
            vars(module).setdefault(name, value)
