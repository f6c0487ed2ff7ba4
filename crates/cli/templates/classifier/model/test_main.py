"""Tries the node without an engine: `krt test`."""

import pathlib
import unittest

from krt.testing import FakeContext, run
import main
from public_input_pb2 import Fruit

PACKAGE = pathlib.Path(__file__).parents[2]


def classify(**fields):
    context = FakeContext(base_path=PACKAGE)
    return run(main.handler, Fruit(**fields), init=main.init, context=context), context


class Classifying(unittest.TestCase):
    def test_a_fruit_like_those_of_the_training(self):
        answer, context = classify(weight=172, width=78)
        self.assertEqual(answer.label, "apple")
        self.assertGreater(answer.confidence, 0.9)
        self.assertAlmostEqual(sum(answer.probabilities.values()), 1)
        self.assertEqual(context.measurements[0]["tags"], {"label": "apple"})
        self.assertEqual(context.predictions, [])

    def test_a_known_label_counts_for_the_accuracy(self):
        _, context = classify(weight=110, width=55, label="lemon")
        (prediction,) = context.predictions
        self.assertEqual(
            (prediction["predictedValue"], prediction["trueValue"]), ("lemon", "lemon")
        )

    def test_impossible_values_are_refused(self):
        with self.assertRaises(ValueError):
            classify(weight=0, width=70)
