"""Streams tokens without computing any, so that only the way of each token is measured."""

from single_pb2 import Prompt, Token


async def handler(ctx, data):
    prompt = Prompt()
    data.Unpack(prompt)
    for _ in range(prompt.tokens):
        yield Token(text="token")
