"""A small language model: it knows from a text which words follow which."""

import asyncio
import random
import re
from collections import defaultdict
from pathlib import Path

TOKEN = re.compile(r"\w+|[^\w\s]")
END = "."


class Generator:
    def __init__(self, corpus):
        tokens = TOKEN.findall(corpus)
        self._next = defaultdict(list)
        for context, token in zip(zip(tokens, tokens[1:]), tokens[2:]):
            self._next[context].append(token)
            self._next[context[1:]].append(token)
        self._starts = [after for before, after in zip(tokens, tokens[1:]) if before == END]

    @classmethod
    def load(cls, path):
        return cls(Path(path).read_text(encoding="utf-8"))

    async def generate(self, prompt, max_tokens, seed=0):
        """Yields the texts of at most `max_tokens` tokens, until a sentence ends."""
        chance = random.Random(seed)
        context = tuple(TOKEN.findall(prompt)[-2:])
        for _ in range(max_tokens):
            # In a thread, as a model computes for long: the worker serves other streams meanwhile.
            token = await asyncio.to_thread(self._choose, context, chance)
            yield f" {token}" if token.isalnum() else token
            if token == END:
                return
            context = (*context, token)[-2:]

    def _choose(self, context, chance):
        known = self._next.get(context) or self._next.get(context[-1:]) or self._starts
        return chance.choice(known)
