"""The envelope of KRT v1's messages over NATS, under its module name in the old runners."""

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as _Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto as _File

from krt import _protos

_STRING, _MESSAGE, _BOOL = _Field.TYPE_STRING, _Field.TYPE_MESSAGE, _Field.TYPE_BOOL
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED


def _file() -> _File:
    file = _File(name="kre_nats_msg.proto", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    envelope = file.message_type.add(name="KreNatsMessage")
    tracking = envelope.nested_type.add(name="Tracking")
    for number, name in enumerate(("node_name", "start", "end"), 1):
        tracking.field.add(name=name, number=number, type=_STRING, label=_ONE)
    for number, (name, kind, label, type_name) in enumerate(
        (
            ("tracking_id", _STRING, _ONE, None),
            ("tracking", _MESSAGE, _MANY, ".KreNatsMessage.Tracking"),
            ("reply", _STRING, _ONE, None),
            ("payload", _MESSAGE, _ONE, ".google.protobuf.Any"),
            ("error", _STRING, _ONE, None),
            ("replied", _BOOL, _ONE, None),
            ("early_exit", _BOOL, _ONE, None),
        ),
        1,
    ):
        envelope.field.add(name=name, number=number, type=kind, label=label, type_name=type_name)
    return file


_protos.Protos(b"").fill_from(globals(), _file().SerializeToString())
