"""Streams the tokens of a language model."""

from generator import Generator
from public_input_pb2 import Prompt, Token

MAX_TOKENS = 1024


async def init(ctx):
    """Called once, before the first request."""
    ctx.set("model", Generator.load(ctx.path("models/corpus.txt")))


async def handler(ctx, data):
    """Called for each request. The client gets each token at once."""
    prompt = Prompt()
    data.Unpack(prompt)
    limit = prompt.max_tokens or 64
    if not 1 <= limit <= MAX_TOKENS:
        raise ValueError(f"max_tokens must be from 1 to {MAX_TOKENS}")

    count = 0
    texts = ctx.get("model").generate(prompt.text, limit, prompt.seed)
    try:
        async for text in texts:
            yield Token(text=text)
            count += 1
    finally:
        # A client that leaves ends the loop early: then the model stops.
        await texts.aclose()
        ctx.measurement.save("generation", {"tokens": count}, {})
