"""The second node of both workflows: asks the trained model."""

import numpy as np
from network import Network
from public_input_pb2 import Features, Scores


async def init(ctx):
    path = ctx.path("models/digits.npz")
    ctx.set("network", Network.load(path))
    ctx.logger.info(f"model loaded from {path}")


async def handler(ctx, data):
    features = Features()
    data.Unpack(features)

    probabilities = ctx.get("network").probabilities(np.array(features.values))
    return Scores(probabilities=probabilities, label=features.label)
