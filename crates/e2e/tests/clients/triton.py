"""tritonclient against `packages/tensors`. The arguments are its addresses of REST and gRPC."""

import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

IMAGES = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
ALL = {
    "flag": np.array([True]),
    "small": np.array([-7], dtype=np.int32),
    "large": np.array([2**64 - 1], dtype=np.uint64),
    "single": np.array([0.1], dtype=np.float32),
    "twice": np.array([-0.0]),
    "text": np.array(["naïve ☃".encode()], dtype=np.object_),
    "raw": np.array([b"\x00\xff"], dtype=np.object_),
    "color": np.array([b"BLUE"], dtype=np.object_),
    "numbers": np.array([1, -(2**63), 0], dtype=np.int64),
    "words": np.array([b"", b"two"], dtype=np.object_),
    "rows.name": np.array([b"a", b"b"], dtype=np.object_),
    "rows.weights": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32),
    "part.inner": np.array([2.5]),
}


def inputs(module, arrays, **form):
    for name, array in arrays.items():
        tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array, **form)
        yield tensor


def same(result, arrays):
    for name, array in arrays.items():
        found = result.as_numpy(name)
        if array.dtype == np.object_:
            plain = [text.encode() if isinstance(text, str) else text for text in found.flatten()]
            assert plain == list(array.flatten()), (name, plain)
        else:
            np.testing.assert_array_equal(found, array, strict=True, err_msg=name)
            if array.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(found), np.signbit(array), err_msg=name)


def described(metadata, kind):
    return {
        tensor["name"]: (tensor["datatype"], [int(size) for size in tensor["shape"]])
        for tensor in metadata[kind]
    }


def refused(call, *parts):
    try:
        call()
    except InferenceServerException as error:
        assert all(part in f"{error.status()} {error.message()}" for part in parts), error
    else:
        raise AssertionError(parts)


def check(module, client, as_json, forms):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("echo") and client.is_model_ready("echo", "tensors-v1")
    assert client.get_server_metadata(**as_json)["name"] == "krt"
    metadata = client.get_model_metadata("echo", **as_json)
    assert metadata["versions"] == ["tensors-v1"], metadata
    names = described(metadata, "inputs")
    assert names["small"] == ("INT32", [1]) and names["rows.weights"] == ("FP32", [-1, -1]), names
    assert described(metadata, "outputs") == names

    for sent, wanted in forms:
        images = {"pixels": IMAGES, "factor": np.array([2], dtype=np.float32)}
        outputs = [module.InferRequestedOutput("pixels", **wanted)]
        answer = client.infer(
            "scale", list(inputs(module, images, **sent)), outputs=outputs, request_id="42"
        )
        same(answer, {"pixels": IMAGES * 2})
        assert answer.as_numpy("factor") is None
        assert client.infer("scale", list(inputs(module, images, **sent))).as_numpy(
            "pixels"
        ).shape == (1, 2, 3)
        response = answer.get_response(**as_json)
        assert (response["model_name"], response["model_version"], response["id"]) == (
            "scale",
            "tensors-v1",
            "42",
        )
        # The client turns bytes into texts for JSON.
        arrays = {
            name: array
            for name, array in ALL.items()
            if name != "raw" or sent.get("binary_data", True)
        }
        outputs = [module.InferRequestedOutput(name, **wanted) for name in arrays if name != "raw"]
        outputs += [module.InferRequestedOutput("raw")] if "raw" in arrays else []
        same(client.infer("echo", list(inputs(module, arrays, **sent)), outputs=outputs), arrays)
        assert client.infer("echo", []).as_numpy("share") is None

    fail = {"text": np.array([b"fail"], dtype=np.object_)}
    refused(lambda: client.infer("echo", list(inputs(module, fail))), "it fails on purpose")
    refused(lambda: client.infer("nothing", []), "there is no model `nothing`", "`echo`, `scale`")
    refused(lambda: client.infer("hidden", []), "there is no model `hidden`")
    refused(lambda: client.infer("echo", [], model_version="2"), "has no version `2`")
    wrong = {"small": np.array([1], dtype=np.int64)}
    refused(
        lambda: client.infer("echo", list(inputs(module, wrong))), "it is INT64, but must be INT32"
    )
    wrong = {"numbers": np.zeros((2, 2), dtype=np.int64)}
    refused(lambda: client.infer("echo", list(inputs(module, wrong))), "shape [2,2]")


rest, grpc = sys.argv[1:]
with over_http.InferenceServerClient(rest) as client:
    binary = ({}, {"binary_data": True})
    text = ({"binary_data": False}, {"binary_data": False})
    check(over_http, client, {}, [binary, text, (binary[0], text[1]), (text[0], binary[1])])
    gzipped = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
    numbers = {"numbers": ALL["numbers"]}
    same(client.infer("echo", list(inputs(over_http, numbers)), **gzipped), numbers)
    refused(lambda: client.get_model_repository_index(), "404", "is not a path of this service")
with over_grpc.InferenceServerClient(grpc) as client:
    check(over_grpc, client, {"as_json": True}, [({}, {})])
    numbers = {"numbers": ALL["numbers"]}
    same(
        client.infer("echo", list(inputs(over_grpc, numbers)), compression_algorithm="gzip"),
        numbers,
    )
    refused(lambda: client.get_model_repository_index(), "UNIMPLEMENTED", "`RepositoryIndex`")
print("well")
