"""The model behind LitServe: `python litserve_server.py PORT`."""

import os
import sys

import litserve
import models

BATCH = int(os.environ["BENCH_BATCH"])


class Model(litserve.LitAPI):
    """Reads the digits of a batch, or of one image without batching."""

    def setup(self, device):
        self.model = models.load()

    def decode_request(self, request):
        return request["pixels"]

    def predict(self, x):
        return self.model([x])[0] if BATCH == 1 else self.model(x)

    def encode_response(self, output):
        return {"digit": output}


if __name__ == "__main__":
    # The default timeout, 0, makes a batch of what waits.
    api = Model(max_batch_size=BATCH)
    server = litserve.LitServer(api, accelerator="cpu", restart_workers=True)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
