"""Tries the node without an engine: `krt test`."""

import unittest

from google.protobuf.wrappers_pb2 import StringValue
from krt.testing import run
import main


class Passing(unittest.TestCase):
    def test_passes_on_its_input(self):
        answer, message = StringValue(), StringValue(value="a message")
        run(main.handler, message).Unpack(answer)
        self.assertEqual(answer, message)
