"""MLServer's types, codecs, stubs and command against `packages/tensors`.

The arguments are its addresses of REST and gRPC.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import grpc
import numpy as np
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.converters import ModelInferRequestConverter, ModelInferResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

PIXELS = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
NUMBERS = np.array([1, -(2**63), 0], dtype=np.int64)
WORDS = ["", "naïve ☃"]
SCALE = InferenceRequest(
    id="7",
    inputs=[
        NumpyCodec.encode_input("pixels", PIXELS),
        NumpyCodec.encode_input("factor", np.array([3], dtype=np.float32)),
    ],
)
ECHO = InferenceRequest(
    inputs=[
        NumpyCodec.encode_input("numbers", NUMBERS),
        StringCodec.encode_input("words", WORDS),
        StringCodec.encode_input("text", ["one"]),
    ],
)


def output(answer, name):
    [found] = [output for output in answer.outputs if output.name == name]
    return found


def check_scale(answer):
    assert (answer.model_name, answer.id) == ("scale", "7"), answer
    np.testing.assert_array_equal(NumpyCodec.decode_output(output(answer, "pixels")), PIXELS * 3)


def check_echo(answer):
    found = NumpyCodec.decode_output(output(answer, "numbers")).flatten()
    np.testing.assert_array_equal(found, NUMBERS, strict=True)
    for name, words in [("words", WORDS), ("text", ["one"])]:
        found = StringCodec.decode_output(output(answer, name))
        assert [str(word) for word in found] == words, found


def over_rest(address):
    def call(path, body=None):
        request = urllib.request.Request(f"http://{address}/v2/models/{path}", data=body)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as response:
            return response.read()

    described = MetadataModelResponse.model_validate_json(call("scale"))
    assert [tensor.name for tensor in described.inputs] == ["pixels", "factor"], described
    for model, request, check in [("scale", SCALE, check_scale), ("echo", ECHO, check_echo)]:
        answer = call(f"{model}/infer", request.model_dump_json(exclude_none=True).encode())
        check(InferenceResponse.model_validate_json(answer))


def over_grpc(address):
    with grpc.insecure_channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(pb.ServerReadyRequest()).ready
        assert stub.ModelReady(pb.ModelReadyRequest(name="scale")).ready
        for model, request, check in [("scale", SCALE, check_scale), ("echo", ECHO, check_echo)]:
            sent = ModelInferRequestConverter.from_types(
                request, model_name=model, model_version=""
            )
            check(ModelInferResponseConverter.to_types(stub.ModelInfer(sent)))


def by_command(address, folder):
    given, found = folder / "requests.jsonl", folder / "answers.jsonl"
    lines = [SCALE.model_copy(update={"id": str(index)}) for index in range(20)]
    given.write_text("".join(f"{line.model_dump_json(exclude_none=True)}\n" for line in lines))
    command = [Path(sys.executable).with_name("mlserver"), "infer", "--url", address]
    command += ["--model-name", "scale", "--input-data-path", given, "--output-data-path", found]
    subprocess.run([*command, "--workers", "4"], check=True, stdout=subprocess.DEVNULL)
    answers = [json.loads(line) for line in found.read_text().splitlines()]
    assert sorted(int(answer["id"]) for answer in answers) == list(range(20)), answers
    for answer in answers:
        [pixels] = [output for output in answer["outputs"] if output["name"] == "pixels"]
        assert pixels["data"] == (PIXELS * 3).flatten().tolist(), answer


def main(rest, grpc_address):
    over_rest(rest)
    over_grpc(grpc_address)
    with tempfile.TemporaryDirectory() as folder:
        by_command(rest, Path(folder))
    print("well")


main(*sys.argv[1:])
