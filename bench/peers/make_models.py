"""Writes the models, and images with the digits that the models read in them.

python make_models.py FOLDER
"""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

TREES = 200
# Two layers of this width have 16.8 million weights between them: 67 MB.
WIDTH = 4096
CASES = 64
SEED = 1


def main(folder):
    """Fits both models."""
    images, digits = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    forest = RandomForestClassifier(TREES, random_state=SEED).fit(images, digits)
    joblib.dump(forest, folder / "forest.joblib")
    layers = fit_dense(images, digits)
    onnx.save(as_onnx(layers), folder / "dense.onnx")
    cases = images[:CASES]
    document = {
        "images": cases.astype(int).tolist(),
        "forest": forest.predict(cases).tolist(),
        "dense": scores(layers, cases).argmax(axis=1).tolist(),
    }
    (folder / "cases.json").write_text(json.dumps(document))


def fit_dense(images, digits):
    """Returns the weights of a network: random hidden layers, and a last one by least squares."""
    random = np.random.default_rng(SEED)
    sizes = (images.shape[1], WIDTH, WIDTH)
    hidden = [random.normal(0, np.sqrt(2 / n), (n, m)) for n, m in zip(sizes, sizes[1:])]
    hidden = [weights.astype(np.float32) for weights in hidden]
    features = activate(hidden, images)
    # Ridge regression in its dual form: there are fewer images than features.
    kernel = features @ features.T
    ridge = 1e-3 * np.trace(kernel) / len(images) * np.eye(len(images))
    last = features.T @ np.linalg.solve(kernel + ridge, np.eye(10)[digits])
    return [*hidden, last.astype(np.float32)]


def activate(hidden, images):
    """Returns the features that the hidden layers compute."""
    features = images
    for weights in hidden:
        features = np.maximum(features @ weights, 0)
    return features


def scores(layers, images):
    """Returns the scores of each digit."""
    return activate(layers[:-1], images) @ layers[-1]


def as_onnx(layers):
    """Returns the network as an ONNX model."""
    nodes, name = [], "images"
    for index in range(len(layers)):
        nodes.append(helper.make_node("MatMul", [name, f"weights{index}"], [f"sum{index}"]))
        name = f"sum{index}"
        if index + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [name], [f"features{index}"]))
            name = f"features{index}"
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(weights, f"weights{i}") for i, weights in enumerate(layers)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
