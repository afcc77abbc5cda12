from __future__ import annotations
from typing import Any
from collections.abc import Callable
from collections.abc import Mapping
from copy import copy
from itertools import count
from llama_nbchat.errors import ParameterError

__all__ = ['Vocabulary', 'Guide', 'Calls', 'Thinking', 'schema_grammar', 'pattern_grammar', 'lark_grammar', 'has_masks']

def has_masks() -> bool:
    """Whether answers can be held to a schema on this machine."""
    ...

def schema_grammar(schema: Mapping) -> str:
    """The grammar of what a JSON schema allows. Raises `ParameterError`, which names what a mask can't do."""
    ...

def pattern_grammar(pattern: str) -> str:
    """The grammar of what a regular expression matches as a whole. Raises `ParameterError`."""
    ...

def lark_grammar(text: str) -> str:
    """The same text, once it is found to be a grammar. Raises `ParameterError`."""
    ...

class _Bytes:
    """A tokenizer for which each byte is a token."""
    eos_token_id: Any
    bos_token_id: Any
    special_token_ids: Any
    tokens: Any

    def __call__(self, text):
        ...

class Vocabulary:
    """The tokens of a model, as masks are made for them. Raises `NotInstalledError`."""
    new: Any
    piece: Any
    ends: Any
    bytes: Any
    numbers: Any
    single: Any
    longest: Any
    counts: Any
    begun: Any
    letters: Any
    tokenizer: Any

    def __init__(self, decoder: Any):
        ...

    def first(self, text: bytes) -> bytes:
        """The longest token with which a text begins; nothing if there is none."""
        ...

    def tokens(self, text: bytes) -> list[int] | None:
        """A few tokens that make this text; None if there are none."""
        ...

    def count(self, text: bytes) -> int | None:
        """How many tokens these are. Most texts are the rest of one that was counted before."""
        ...

    def fits(self, text: bytes, room: int) -> bool:
        """Whether the text can be written with so many tokens."""
        ...

    def with_controls(self, grammar: str) -> Vocabulary:
        """This vocabulary or, for a grammar that names control tokens, a copy of it that has letters for them."""
        ...

    def in_letters(self, grammar: str) -> str:
        """The grammar with a letter for each control token. Raises `ParameterError` if there are too many."""
        ...

class Guide:
    """Lets a model write what a grammar allows, and nothing else, to its end. Raises `ParameterError` if there is none."""
    vocabulary: Any
    is_text: Any
    end: Any
    words: Any
    matcher: Any
    letters: Any
    ended: Any
    closed: Any

    def __init__(self, vocabulary: Vocabulary, grammar: str, is_text: bool=...):
        ...

    @property
    def needs(self) -> int:
        """How many tokens it takes at least to end what was begun."""
        ...

    def apply(self, scores):
        """Makes impossible what does not fit."""
        ...

    def take(self, token: int, left: int) -> int | None:
        """Notes what is written. If what the token begins could not be ended, it is the next one of the shortest end."""
        ...

    def read(self, text: str):
        """Goes on from a text. Raises `ParameterError` if it does not fit."""
        ...

class Calls:
    """Leaves a model free until it begins a call, and from there on holds it to calls that fit."""
    piece: Any
    begins: Any
    held: Any
    last: Any
    first: Any
    guide: Any
    forced: Any
    needs: Any

    def __init__(self, piece: Callable, begins: Callable, held: Callable, last: bytes | None, first: Any | None=...):
        ...

    @property
    def ended(self) -> bool:
        ...

    @property
    def closed(self) -> bool:
        ...

    @property
    def cut(self) -> int:
        ...

    def is_free(self) -> bool:
        """Whether there is nothing to make impossible now."""
        ...

    def apply(self, scores):
        """Makes impossible what does not fit."""
        ...

    def take(self, token, left):
        """Notes what is written, and gives back the token that is."""
        ...

class Thinking:
    """Leaves a model to its thoughts, to so many tokens of them at most; after them another guide has its way, or none."""
    decoder: Any
    marks: Any
    most: Any
    then: Any
    answer: Any
    opened: Any
    thought: Any
    head: Any
    cut: Any
    forced: Any
    texts: Any
    apart: Any
    opening: Any
    answering: Any

    def __init__(self, decoder: Any, marks: Mapping, *, opened: str=..., begun: str=..., most: int | None=..., then: Guide | None=..., answer: str=...):
        ...

    @property
    def ended(self) -> bool:
        ...

    @property
    def closed(self) -> bool:
        ...

    @property
    def before(self) -> list[int]:
        """The tokens that come before the answer if nothing more is thought."""
        ...

    @property
    def needs(self) -> int:
        """How many tokens it takes at least to end what was begun."""
        ...

    def apply(self, scores):
        """Makes impossible what does not fit."""
        ...

    def take(self, token, left):
        """Notes what is written. Gives the closing mark instead, token by token, when there is no room for more thoughts."""
        ...
