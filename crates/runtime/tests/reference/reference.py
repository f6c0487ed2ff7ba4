"""Converts JSON and messages with google.protobuf: reads a line of JSON, writes a line."""

import base64
import json
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def main() -> None:
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(sys.stdin.readline()))
    for file in files.file:
        pool.Add(file)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            done = {"ok": act(pool, task)}
        except Exception as error:
            done = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(done), flush=True)


def act(pool: descriptor_pool.DescriptorPool, task: dict) -> str:
    message = new(pool, task["type"])
    data = base64.b64decode(task["data"])
    if task["do"] == "parse":
        json_format.Parse(data, message, descriptor_pool=pool)
        return encoded(pool, message)
    message.ParseFromString(data)
    if task["do"] == "encode":
        return encoded(pool, message)
    plain = task["do"] == "plain"
    options = {"always_print_fields_with_no_presence": plain, "preserving_proto_field_name": plain}
    return json_format.MessageToJson(message, descriptor_pool=pool, indent=None, **options)


def new(pool: descriptor_pool.DescriptorPool, name: str):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


def encoded(pool: descriptor_pool.DescriptorPool, message) -> str:
    order(pool, message)
    return base64.b64encode(message.SerializePartialToString(deterministic=True)).decode()


def order(pool: descriptor_pool.DescriptorPool, message) -> None:
    """Sorts the fields in the bytes of each Any."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any" and message.value:
        inner = new(pool, message.type_url.split("/")[-1])
        inner.ParseFromString(message.value)
        order(pool, inner)
        message.value = inner.SerializePartialToString(deterministic=True)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in value:
                    order(pool, value[key])
        elif field.is_repeated:
            for item in value:
                order(pool, item)
        else:
            order(pool, value)


main()
