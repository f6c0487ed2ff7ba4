# -*- coding: utf-8 -*-
# As a protoc that is yet to come will generate it: it asks for a newer protobuf than any there is.
from google.protobuf import descriptor as _descriptor
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf import runtime_version as _runtime_version
from google.protobuf import symbol_database as _symbol_database
from google.protobuf.internal import builder as _builder
_runtime_version.ValidateProtobufRuntimeVersion(
    _runtime_version.Domain.PUBLIC,
    99,
    0,
    0,
    '',
    'public_input.proto'
)

_sym_db = _symbol_database.Default()

DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(b'\n\x12public_input.proto\x12\x04ping"\x14\n\x04Ping\x12\x0c\n\x04text\x18\x01 \x01(\x092+\n\nEntrypoint\x12\x1d\n\x03Run\x12\n.ping.Ping\x1a\n.ping.Pingb\x06proto3')

_globals = globals()
_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, _globals)
_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, 'public_input_pb2', _globals)
