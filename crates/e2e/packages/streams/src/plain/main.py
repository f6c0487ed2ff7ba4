"""Streams as many messages as its request says, from a plain generator."""

import os
from pathlib import Path

from public_input_pb2 import Item, Order

SCRATCH = Path(os.environ["E2E_SCRATCH"])


def handler(ctx, data):
    order = Order()
    data.Unpack(order)
    try:
        for number in range(order.count):
            yield Item(number=number, text="x" * order.size)
        if order.then == "fail":
            raise RuntimeError("no more")
    finally:
        (SCRATCH / f"{order.name}.closed").touch()
