from __future__ import annotations
from typing import Any

__all__ = ['Transcripts', 'States', 'common', 'useful', 'WORTH_KEEPING']
WORTH_KEEPING: Any

class Transcripts:
    """The last answers, with the tokens of all that led to them."""
    names: Any
    keep: Any
    known: Any

    def __init__(self, names, keep=...):
        ...

    def add(self, prompt, answer, whole, tokens):
        """Remembers an answer and its prompt, as marked texts, and the tokens of both: `whole` characters of the answer."""
        ...

    def longest(self, text):
        """How many characters of a text are known, and their tokens."""
        ...

def common(a, b):
    """How many tokens two lists have in common at the beginning."""
    ...

def useful(held, wanted, trimmable):
    """How many of the tokens that a cache holds can be kept for the wanted ones."""
    ...

class States:
    """KV caches that were put aside."""
    budget: Any
    kept: Any

    def __init__(self, budget):
        ...

    def add(self, tokens, state, trimmable):
        """Puts one aside; those that it makes useless go, and the oldest, until all are within the budget."""
        ...

    def bytes(self):
        ...

    def best(self, wanted, trimmable, here=...):
        """How much of the wanted tokens the most useful one holds, and itself; `here` of them are in the model's cache."""
        ...

    def drop(self, useless):
        """Forgets one that can't be had back."""
        ...

    def settle(self, decoder):
        """Called after each answer, for those who keep more than what was put aside."""
        ...
