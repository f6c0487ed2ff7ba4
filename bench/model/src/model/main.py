"""Reads digits with a model; with `batch` in krt.yml several images at a time."""

import models
from model_pb2 import Digit, Image


def init(ctx):
    ctx.set("predict", models.load())


def handler(ctx, data):
    if isinstance(data, list):
        return predict(ctx, data)
    return predict(ctx, [data])[0]


def predict(ctx, data):
    """Returns the digit of each image."""
    images = []
    for item in data:
        image = Image()
        item.Unpack(image)
        images.append(image.pixels)
    return [Digit(digit=digit) for digit in ctx.get("predict")(images)]
