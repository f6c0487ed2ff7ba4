"""Works with messages, beside nodes that do not."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from public_input_pb2 import Answer, Order


async def handler(ctx, data):
    if data.Is(Struct.DESCRIPTOR):
        fields = Struct()
        data.Unpack(fields)
        return Answer(text=f"{fields['text']} {fields['whole']}")
    order = Order()
    data.Unpack(order)
    if order.act == "foreign":
        return Duration(seconds=1)
    return order
