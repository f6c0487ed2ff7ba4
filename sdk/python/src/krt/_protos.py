"""The package's `.proto` files as descriptors, and modules made from them.

Imported only if a `*_pb2` module is missing or broken: reading descriptors takes time and memory
that most workers never need.
"""

from __future__ import annotations

import importlib
from typing import Any

from google import protobuf
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from ._proto_names import module_of, read_set

_GOOGLE = "google/protobuf/"
_EDITIONS = 'require protobuf 5.27 or newer, or write `syntax = "proto3";`'


_of_folders: dict[str, Protos] = {}


def make(names: dict[str, Any], file: str, folder: str) -> None:
    """Fills a module in a folder that the engine made."""
    of_folder(folder).fill(names, file)


def of_folder(folder: str) -> Protos:
    """Returns the files behind a folder of made modules; they are read once."""
    known = _of_folders.get(folder)
    if known is None:
        known = _of_folders[folder] = Protos(read_set(folder))
    return known


class Protos:
    """The files of a serialized `FileDescriptorSet`."""

    def __init__(self, descriptors: bytes) -> None:
        files = FileDescriptorSet.FromString(descriptors).file
        self._files = {file.name: file for file in files}

    def fill(self, names: dict[str, Any], name: str) -> None:
        """Adds the names of a package file to its module."""
        _build(names, self._add(self._files[name]))

    def fill_from(self, names: dict[str, Any], descriptor: bytes) -> None:
        """Adds the names of a serialized descriptor to a module."""
        _build(names, self._add(FileDescriptorProto.FromString(descriptor)))

    def _add(self, file: FileDescriptorProto) -> FileDescriptor:
        """Adds a file and its imports to protobuf's pool.

        An existing file of the same name is used unchanged: the pool holds only one, and its
        messages are in use.
        """
        pool = descriptor_pool.Default()
        if file.syntax == "editions" and not _knows_editions():
            raise ImportError(
                f"`{file.name}` is written in an edition, which protobuf {protobuf.__version__} "
                f"does not know; hint: {_EDITIONS}"
            )
        for name in file.dependency:
            self._need(name)
        data = stripped(file).SerializeToString()
        try:
            pool.AddSerializedFile(data)
        except Exception as clash:  # each protobuf implementation raises a different type
            return _known(file, clash)
        return pool.FindFileByName(file.name)

    def _need(self, name: str) -> None:
        """Makes sure that an imported file is in the pool; prefers the one on disk."""
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
    """Removes source info and default JSON names, as generated code does. Otherwise the pool
    reports a clash between two copies of the same file.
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
    """Returns protobuf's default JSON name of a field."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _knows_editions() -> bool:
    """Older versions treat a file of an edition as proto2."""
    major, minor = protobuf.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (5, 27)


def _in_pool(name: str) -> FileDescriptor | None:
    try:
        found: FileDescriptor = descriptor_pool.Default().FindFileByName(name)
    except KeyError:
        return None
    return found


def _known(file: FileDescriptorProto, clash: Exception) -> FileDescriptor:
    found = _in_pool(file.name) or _defining(file)
    if found is None and file.syntax == "editions":
        raise ImportError(f"{clash}; hint: {_EDITIONS}") from clash
    if found is None:
        raise clash
    missing = {message.name for message in file.message_type} - set(found.message_types_by_name)
    if missing:
        raise ImportError(
            f"another version of `{file.name}` is loaded, without {', '.join(sorted(missing))}"
        ) from clash
    return found


def _defining(file: FileDescriptorProto) -> FileDescriptor | None:
    """Finds the file in the pool that defines the same messages under another path."""
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


def _build(names: dict[str, Any], file: FileDescriptor) -> None:
    names["DESCRIPTOR"] = file
    try:
        from google.protobuf.internal import builder
    except ImportError:
        from . import _reflection

        _reflection.build(file, names["__name__"], names)
    else:
        builder.BuildMessageAndEnumDescriptors(file, names)
        builder.BuildTopDescriptorsAndMessages(file, names["__name__"], names)
    for public in file.public_dependencies:
        _republish(names, public)


def _republish(names: dict[str, Any], public: FileDescriptor) -> None:
    """Adds the names of another file, for `import public`."""
    source = importlib.import_module(module_of(public.name))
    for name, value in vars(source).items():
        if not name.startswith("_") and name != "DESCRIPTOR":
            names.setdefault(name, value)
