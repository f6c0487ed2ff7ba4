"""The model behind Mosec: `python mosec_server.py --address 127.0.0.1 --port PORT`."""

import os

import models
from mosec import Server, Worker

BATCH = int(os.environ["BENCH_BATCH"])


class Model(Worker):
    """Reads the digits of a batch, or of one image without batching."""

    def __init__(self):
        super().__init__()
        self.predict = models.load()

    def forward(self, data):
        if BATCH == 1:
            return {"digit": self.predict([data["pixels"]])[0]}
        return [{"digit": digit} for digit in self.predict([item["pixels"] for item in data])]


if __name__ == "__main__":
    server = Server()
    # The shortest wait for a batch to fill; the default is 10 ms.
    server.append_worker(Model, max_batch_size=BATCH, max_wait_time=1)
    server.run()
