"""The models that every server of the comparison loads and calls in the same way.

A model is a function from a list of images, each a list of 64 pixels, to the list of their digits.
The environment says which one: `BENCH_MODEL` is its name, `BENCH_MODELS` the folder with its file,
and `BENCH_PID` a file for the id of the process that has loaded it.
"""

import os
import time
from pathlib import Path

PAUSE = 0.2


def load():
    """Loads the model that the environment names."""
    model = MODELS[os.environ["BENCH_MODEL"]](Path(os.environ["BENCH_MODELS"]))
    Path(os.environ["BENCH_PID"]).write_text(str(os.getpid()))
    return model


def forest(folder):
    """Loads a random forest of scikit-learn."""
    import joblib
    import numpy as np

    model = joblib.load(folder / "forest.joblib")
    return lambda images: model.predict(np.array(images, dtype=np.float32)).tolist()


def dense(folder):
    """Loads a dense network in ONNX."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "dense.onnx"), options)

    def predict(images):
        (scores,) = session.run(None, {"images": np.array(images, dtype=np.float32)})
        return scores.argmax(axis=1).tolist()

    return predict


def slow(_folder):
    """Takes as long for many images as for one. It refuses all if one has a negative pixel."""

    def predict(images):
        time.sleep(PAUSE)
        if any(pixel < 0 for pixels in images for pixel in pixels):
            raise ValueError("a pixel is negative")
        return [int(sum(pixels)) % 10 for pixels in images]

    return predict


MODELS = {"forest": forest, "dense": dense, "slow": slow}
