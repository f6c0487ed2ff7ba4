"""KServe's clients against `packages/tensors`. The arguments are its addresses of REST and gRPC."""

import asyncio
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request(binary):
    pixels = np.arange(4, dtype=np.float32).reshape(2, 2)
    inputs = []
    for name, array in {"pixels": pixels, "factor": np.array([3], dtype=np.float32)}.items():
        tensor = InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    return InferRequest("scale", inputs, request_id="7"), pixels * 3


def check(answer, expected):
    assert (answer.model_name, answer.id) == ("scale", "7"), answer
    [pixels] = [output for output in answer.outputs if output.name == "pixels"]
    np.testing.assert_array_equal(pixels.as_numpy(), expected)


async def main(rest, grpc):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{rest}"
    assert await client.is_server_live(base) and await client.is_server_ready(base)
    assert await client.is_model_ready(base, "scale")
    for binary in [False, True]:
        sent, expected = request(binary)
        check(await client.infer(base, sent, model_name="scale"), expected)
    client = InferenceGRPCClient(grpc)
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("scale")
    for binary in [False, True]:
        sent, expected = request(binary)
        check(await client.infer(sent), expected)
    print("well")


asyncio.run(main(*sys.argv[1:]))
