"""Tries the node without an engine: `krt test`."""

import unittest

from krt.testing import run
import main


class Passing(unittest.TestCase):
    def test_passes_on_its_input(self):
        self.assertEqual(run(main.handler, {"text": "a message"}), {"text": "a message"})
