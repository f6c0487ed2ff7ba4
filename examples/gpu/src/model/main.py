"""The only node: embeds texts, as many at once as wait."""

import torch
from public_input_pb2 import Text, Vector
from trigrams import Trigrams


def init(ctx):
    # The worker sees its own GPU only, and for PyTorch it is the first.
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    ctx.set("network", Trigrams().eval().to(device))
    ctx.set("device", name)
    ctx.logger.info(f"the network runs on {name}")


@torch.inference_mode()
def handler(ctx, data):
    texts = []
    for item in data:
        text = Text()
        item.Unpack(text)
        texts.append(text.text)
    vectors = ctx.get("network")(texts).tolist()
    return [Vector(values=values, device=ctx.get("device")) for values in vectors]
