"""Trains the model with `fruits.csv`: `python training/train.py`. Says how often it is right."""

import csv
import pathlib
import sys

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE / "src/model"))

from classifier import Classifier  # noqa: E402


def read(path):
    """The features and the label of each row."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [[float(row["weight"]), float(row["width"])] for row in rows], [
        row["label"] for row in rows
    ]


def predict(model, rows):
    """The likeliest label of each row."""
    return [max(zip(of, model.classes_))[1] for of in model.predict_proba(rows)]


def accuracy(rows, labels):
    """How often a model is right about a row that it has not seen: each one is left out once."""
    right = 0
    for index in range(len(rows)):
        others, known = rows[:index] + rows[index + 1 :], labels[:index] + labels[index + 1 :]
        right += predict(Classifier().fit(others, known), [rows[index]]) == [labels[index]]
    return right / len(rows)


if __name__ == "__main__":
    rows, labels = read(PACKAGE / "training/fruits.csv")
    Classifier().fit(rows, labels).save(PACKAGE / "models/classifier.json")
    print(f"accuracy: {accuracy(rows, labels):.2f}")
