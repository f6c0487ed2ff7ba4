"""Trains the model of this package, and writes it and the samples.

    python -m venv .venv
    .venv/bin/pip install -r training/requirements.txt
    .venv/bin/python training/train.py

The data is the set of handwritten digits that ships inside scikit-learn: 1,797 real images of
8 x 8 pixels. 200 of them never meet the training: the accuracy is measured on those, and they
are what `samples/` holds. The seed is fixed.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

ROOT = Path(__file__).resolve().parent.parent
sys.path.extend([str(ROOT / "src/etl"), str(ROOT / "src/model")])

from network import Network  # noqa: E402
from pixels import INK, SIZE  # noqa: E402

HELD_OUT = 200
SEED = 0
# Between a probability of the classifier (float64) and of the exported network (float32 weights).
TOLERANCE = 1e-5


def main():
    """Trains, measures, writes."""
    images, labels = load_digits(return_X_y=True)
    training, held_out, training_labels, held_out_labels = train_test_split(
        images, labels, test_size=HELD_OUT, stratify=labels, random_state=SEED
    )
    classifier = train(training / INK, training_labels)
    network = export(classifier)
    report(network, classifier, held_out / INK, held_out_labels)
    network.save(ROOT / "models/digits.npz")
    write_samples(held_out, held_out_labels)


def train(features, labels):
    """A classifier with one hidden layer."""
    classifier = MLPClassifier(
        hidden_layer_sizes=(64,), alpha=0.01, max_iter=500, random_state=SEED
    )
    return classifier.fit(features, labels)


def export(classifier):
    """The classifier's weights as the network that the model node runs."""
    hidden, output = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    return Network(*(array.astype(np.float32) for array in (*hidden, *output)))


def report(network, classifier, features, labels):
    """Prints the accuracy on images that training never met."""
    probabilities = network.probabilities(features)
    difference = np.abs(probabilities - classifier.predict_proba(features)).max()
    if difference > TOLERANCE:
        raise SystemExit(f"the exported network differs from the classifier by {difference}")
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    print(f"{accuracy:.1%} of {len(labels)} held-out images are read correctly")


def write_samples(images, labels):
    """Writes requests, one a line, in the JSON form of the entrypoint's messages."""
    images = [[int(pixel) for pixel in image] for image in images]
    labels = [str(label) for label in labels]
    pairs = list(zip(images, labels, strict=True))
    unusual = [(images[0], "x"), (images[0], ""), ([0] * SIZE, labels[0])]
    write_lines("classify.jsonl", [{"pixels": image} for image in images])
    write_lines("evaluate.jsonl", [request(*pair) for pair in pairs])
    write_lines("evaluate-unusual.jsonl", [request(*pair) for pair in unusual])


def request(image, label):
    """An EvaluateRequest."""
    return {"pixels": image, "label": label}


def write_lines(name, values):
    """Writes each value as one line of JSON."""
    lines = [json.dumps(value, separators=(",", ":")) + "\n" for value in values]
    (ROOT / "samples" / name).write_text("".join(lines))


if __name__ == "__main__":
    main()
