# -*- coding: utf-8 -*-
# As a protoc of 2018 (3.6) generates it: a protobuf of today refuses to make descriptors so.
import sys
_b=sys.version_info[0]<3 and (lambda x:x) or (lambda x:x.encode('latin1'))
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf import reflection as _reflection
from google.protobuf import symbol_database as _symbol_database

_sym_db = _symbol_database.Default()

DESCRIPTOR = _descriptor.FileDescriptor(
  name='public_input.proto',
  package='ping',
  syntax='proto3',
  serialized_options=None,
  serialized_pb=_b('\n\x12public_input.proto\x12\x04ping"\x14\n\x04Ping\x12\x0c\n\x04text\x18\x01 \x01(\x092+\n\nEntrypoint\x12\x1d\n\x03Run\x12\n.ping.Ping\x1a\n.ping.Pingb\x06proto3')
)

_PING = _descriptor.Descriptor(
  name='Ping',
  full_name='ping.Ping',
  filename=None,
  file=DESCRIPTOR,
  containing_type=None,
  fields=[
    _descriptor.FieldDescriptor(
      name='text', full_name='ping.Ping.text', index=0,
      number=1, type=9, cpp_type=9, label=1,
      has_default_value=False, default_value=_b("").decode('utf-8'),
      message_type=None, enum_type=None, containing_type=None,
      is_extension=False, extension_scope=None,
      serialized_options=None, file=DESCRIPTOR),
  ],
  extensions=[],
  nested_types=[],
  enum_types=[],
  serialized_options=None,
  is_extendable=False,
  syntax='proto3',
  extension_ranges=[],
  oneofs=[],
)

DESCRIPTOR.message_types_by_name['Ping'] = _PING
_sym_db.RegisterFileDescriptor(DESCRIPTOR)

Ping = _reflection.GeneratedProtocolMessageType('Ping', (_message.Message,), dict(
  DESCRIPTOR = _PING,
  __module__ = 'public_input_pb2'
  ))
_sym_db.RegisterMessage(Ping)
