"""The model behind BentoML: `bentoml serve bentoml_server:Model`."""

import os

import bentoml
import models
from pydantic import BaseModel

BATCH = int(os.environ["BENCH_BATCH"])


class Image(BaseModel):
    """A request."""

    pixels: list[float]


class Digit(BaseModel):
    """An answer."""

    digit: int


# The longest latency is far above what 32 clients see, so that BentoML refuses no request.
BATCHING = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": 10_000}


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1000})
class Model:
    """Reads the digits of a batch; a client sends one image."""

    def __init__(self):
        self.model = models.load()

    @bentoml.api(**(BATCHING if BATCH > 1 else {}))
    def predict(self, images: list[Image]) -> list[Digit]:
        digits = self.model([image.pixels for image in images])
        return [Digit(digit=digit) for digit in digits]
