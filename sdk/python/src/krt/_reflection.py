"""protobuf's `builder` for versions before 3.20, which lack it.

It makes a module from a file's descriptor: messages, enums with their values, extensions, services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import descriptor as descriptors
from google.protobuf import reflection, symbol_database
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

_symbols: Any = symbol_database.Default()


def build(file: FileDescriptor, module: str, names: dict[str, Any]) -> None:
    """Adds the same names to a module as code from protoc."""
    for enum in file.enum_types_by_name.values():
        names[f"_{enum.name.upper()}"] = enum
        names[enum.name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    for extension in file.extensions_by_name.values():
        names[f"{extension.name.upper()}_FIELD_NUMBER"] = extension.number
        names[extension.name] = extension
    for service in file.services_by_name.values():
        names[f"_{service.name.upper()}"] = service
    for top in file.message_types_by_name.values():
        names.update(_descriptors_in(top, "_"))
        names[top.name] = _message(top, module)
    if not getattr(descriptors, "_USE_C_DESCRIPTORS", False):
        _register_extensions(file)
        written = FileDescriptorProto.FromString(file.serialized_pb)
        for message in written.message_type:
            _name_in_json(file.message_types_by_name[message.name], message)


def _descriptors_in(message: Descriptor, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yields a message's descriptor and its nested ones, by protoc's names."""
    name = prefix + message.name.upper()
    yield name, message
    for nested in message.nested_types:
        yield from _descriptors_in(nested, f"{name}_")
    for enum in message.enum_types:
        yield f"{name}_{enum.name.upper()}", enum


def _message(message: Descriptor, module: str) -> Any:
    """Returns the class of a message, with the classes of its nested messages."""
    names: dict[str, Any] = {
        nested.name: _message(nested, module) for nested in message.nested_types
    }
    names.update(DESCRIPTOR=message, __module__=module)
    kind: Any = reflection.GeneratedProtocolMessageType
    return _symbols.RegisterMessage(kind(message.name, (Message,), names))


def _name_in_json(message: Descriptor, written: DescriptorProto) -> None:
    """Restores custom JSON names, which the oldest Python implementations lose."""
    for field in written.field:
        made: Any = message.fields_by_name[field.name]
        if field.json_name and made.json_name != field.json_name:
            made.json_name = field.json_name
    for nested in written.nested_type:
        _name_in_json(message.nested_types_by_name[nested.name], nested)


def _register_extensions(file: FileDescriptor) -> None:
    """Registers each extension with its message's class, as the Python implementation requires."""
    for extension in _extensions(
        file.extensions_by_name.values(), file.message_types_by_name.values()
    ):
        extended = getattr(extension.containing_type, "_concrete_class", None)
        if extended is not None:
            extended.RegisterExtension(extension)


def _extensions(own: Iterable[Any], messages: Iterable[Descriptor]) -> Iterator[Any]:
    yield from own
    for message in messages:
        yield from _extensions(message.extensions, message.nested_types)
