"""Tries the node without an engine: `krt test`."""

import asyncio
import pathlib
import unittest

from google.protobuf.any_pb2 import Any
from krt.testing import FakeContext, run_stream
import main
from public_input_pb2 import Prompt

PACKAGE = pathlib.Path(__file__).parents[2]


def generate(**fields):
    context = FakeContext(base_path=PACKAGE)
    tokens = run_stream(main.handler, Prompt(**fields), init=main.init, context=context)
    return [token.text for token in tokens], context


class Generating(unittest.TestCase):
    def test_tokens_continue_the_prompt(self):
        tokens, context = generate(text="The boat")
        self.assertEqual(tokens[0], " left")
        self.assertEqual(tokens[-1], ".")
        self.assertEqual(context.measurements[0]["fields"], {"tokens": len(tokens)})

    def test_the_same_seed_gives_the_same_answer(self):
        first, again, other = (generate(text="The", seed=seed)[0] for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_the_number_of_tokens_is_bounded(self):
        self.assertEqual(len(generate(text="The boat", max_tokens=2)[0]), 2)
        with self.assertRaises(ValueError):
            generate(text="The boat", max_tokens=-1)

    def test_a_client_that_leaves_stops_the_model(self):
        context = FakeContext(base_path=PACKAGE)
        model = Endless()
        context.set("model", model)
        prompt = Any()
        prompt.Pack(Prompt(text="on"))

        async def leave():
            tokens = main.handler(context, prompt)
            await tokens.__anext__()
            await tokens.aclose()

        asyncio.run(leave())
        self.assertTrue(model.stopped)
        self.assertEqual(context.measurements[0]["fields"], {"tokens": 0})


class Endless:
    stopped = False

    async def generate(self, *_):
        try:
            while True:
                yield " and on"
        finally:
            self.stopped = True
