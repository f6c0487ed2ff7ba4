"""Tries the node without an engine: `krt test`."""

import unittest

from krt.testing import FakeContext, run
import main
from public_input_pb2 import GreetRequest


class Greeting(unittest.TestCase):
    def test_greets_by_name(self):
        context = FakeContext()
        answer = run(main.handler, GreetRequest(name="Ada"), init=main.init, context=context)
        self.assertEqual(answer.text, "Hello, Ada!")
        self.assertEqual([log.text for log in context.logs], ["greeting Ada"])
