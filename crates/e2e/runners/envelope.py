"""KreNatsMessage as an old reader parses it: input that would break one is an error here."""

import gzip
import zlib
from datetime import datetime, timezone

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

# A larger envelope is compressed; a compressed one must not exceed this.
LIMIT = 1_048_576
GZIP = b"\x1f\x8b"
TIME = "%Y-%m-%dT%H:%M:%S.%f"
TIME_LENGTH = len("2006-01-02T15:04:05.000000")


class ChokedError(Exception):
    """A message that no existing runner can send or read."""


class TooLargeError(Exception):
    """A message too large for existing runners to send."""


def _message_class():
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="kre_nats_msg.proto", syntax="proto3", dependency=["google/protobuf/any.proto"]
    )
    outer = file.message_type.add(name="KreNatsMessage")
    inner = outer.nested_type.add(name="Tracking")
    for number, name in enumerate(["node_name", "start", "end"], 1):
        inner.field.add(name=name, number=number, type=field.TYPE_STRING, label=1)
    for number, name, kind, type_name in [
        (1, "tracking_id", field.TYPE_STRING, None),
        (2, "tracking", field.TYPE_MESSAGE, ".KreNatsMessage.Tracking"),
        (3, "reply", field.TYPE_STRING, None),
        (4, "payload", field.TYPE_MESSAGE, ".google.protobuf.Any"),
        (5, "error", field.TYPE_STRING, None),
        (6, "replied", field.TYPE_BOOL, None),
        (7, "early_exit", field.TYPE_BOOL, None),  # second protocol only
    ]:
        label = field.LABEL_REPEATED if name == "tracking" else field.LABEL_OPTIONAL
        outer.field.add(name=name, number=number, type=kind, type_name=type_name, label=label)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("KreNatsMessage"))


KreNatsMessage = _message_class()


def now():
    """The current time in the format of an envelope."""
    return datetime.now(timezone.utc).strftime(TIME)


def encode(envelope):
    """Encodes an envelope for NATS."""
    plain = envelope.SerializeToString()
    if len(plain) <= LIMIT:
        return plain
    compressed = gzip.compress(plain)
    if len(compressed) > LIMIT:
        raise TooLargeError(f"the message has {len(compressed)} bytes, compressed; {LIMIT} may be")
    return compressed


def decode(data, jetstream):
    """Decodes a message from NATS; raises ChokedError if an old reader would fail."""
    try:
        plain = gzip.decompress(data) if data.startswith(GZIP) else data
        envelope = KreNatsMessage.FromString(plain)
    except (OSError, EOFError, zlib.error, message.DecodeError) as error:
        raise ChokedError(f"{len(data)} bytes are no KreNatsMessage: {error!r}") from error
    _known(envelope, envelope)
    if envelope.early_exit and not jetstream:
        raise ChokedError(f"the first protocol knows no early_exit: {envelope}")
    if envelope.error:
        return envelope
    _message(envelope)
    for stage in envelope.tracking:
        _known(stage, envelope)
        if not stage.node_name:
            raise ChokedError(f"a stage without a name: {envelope}")
        if _time(stage.start) > _time(stage.end):
            raise ChokedError(f"a stage that ends before it starts: {envelope}")
    if envelope.tracking and envelope.tracking[0].node_name != "entrypoint":
        raise ChokedError(f"a way that does not start at the entrypoint: {envelope}")
    return envelope


def require_way(envelope):
    """Checks that a message between nodes has the request's id and tracking, which are measured."""
    if envelope.error:
        raise ChokedError(f"an error between nodes: {envelope}")
    if not envelope.tracking_id:
        raise ChokedError(f"a request without an id: {envelope}")
    if not envelope.tracking:
        raise ChokedError(f"a request without a way: {envelope}")


def _known(part, envelope):
    if len(UnknownFieldSet(part)):
        raise ChokedError(f"fields that no existing runner knows: {envelope}")


def _message(envelope):
    prefix, _, name = envelope.payload.type_url.rpartition("/")
    if prefix != "type.googleapis.com" or not name:
        raise ChokedError(f"a payload of no type: {envelope}")


def _time(text):
    if len(text) != TIME_LENGTH:
        raise ChokedError(f"'{text}' has not exactly six digits of a second")
    try:
        return datetime.strptime(text, TIME)
    except ValueError as error:
        raise ChokedError(str(error)) from error
