from __future__ import annotations
from typing import Any
import os
from collections.abc import Iterator
from dataclasses import dataclass
from llama_nbchat.errors import Advises
from llama_nbchat.errors import ContextOverflowError
from llama_nbchat.local.calls import CallFormat
from llama_nbchat.local.mask import Vocabulary
from llama_nbchat.local.template import Prompt
from llama_nbchat.local.template import mark
from llama_nbchat.model import ChatModel
from llama_nbchat.reply import Delta
from llama_nbchat.errors import StateError

__all__ = ['Engine']

class Engine(Advises, ChatModel):
    """A `ChatModel` over a `llama_cpp.Llama`, that evaluates each token of a conversation once."""
    can: Any
    llm: Any
    decoder: Any
    name: Any
    n_ctx: Any
    called: Any
    template: Any
    defaults: Any
    parameters: Any
    names: Any
    marked: Any
    in_texts: Any
    marks: Any
    ends: Any
    states: Any
    transcripts: Any
    seeds: Any

    def __init__(self, llm: Any, chat_format: str | None=..., cache_bytes: int=...):
        ...

    def __repr__(self):
        ...

    def count(self, messages: list[dict], tools: list[dict]=...) -> int:
        """How many tokens of the context window the conversation takes."""
        ...

    def stream(self, messages: list[dict], **params) -> Iterator[Delta]:
        """The answer, piece by piece; before it, how far the prompt is evaluated. Raises `ContextOverflowError`."""
        ...

    def weigh(self, messages: list[dict], options: list[str]) -> list[float]:
        """How probable it is that the answer is this one, if it is one of them. Raises `ContextOverflowError`."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, as masks are made for them. Raises `NotInstalledError`."""
        ...

    @property
    def calls(self) -> CallFormat:
        """How this model writes calls of functions."""
        ...

    def keep_states(self, folder: str | os.PathLike | bool=...):
        """Keeps the states of conversations in a folder, where another process finds them. They tell what was said."""
        ...

    def save_state(self, path: str | os.PathLike, messages: list[dict] | None=..., tools: list[dict]=...):
        """Writes the KV cache of a conversation, as far as it is known. Raises `StateError` if there is none."""
        ...

    def load_state(self, path: str | os.PathLike):
        """Makes a saved KV cache known: the next prompt that fits will use it. Raises `StateError` if the file does not fit."""
        ...

@dataclass(frozen=True)
class _Asked(Prompt):
    """A prompt, and how it is to be answered."""
    tokens: list[int] = ...
    held: int = ...
    most: int = ...
    seed: int = ...
    stops: list[str] = ...
    guide: Any = ...
    tools: list[dict] = ...
    messages: list[dict] = ...
    plain: str = ...
    calls_freely: bool = ...

    def as_shared(self):
        """The part of it that the next turn shares."""
        ...

class _Reading:
    """Reads an answer of a model that may call functions."""
    reader: Any
    marks: Any
    closing: Any
    held: Any

    def __init__(self, format, prompt, marks):
        ...

    def read(self, deltas):
        """The deltas without calls, and with them; returns why the answer ended."""
        ...

    def close(self, rest):
        """The rest, and the calls in it."""
        ...

    def begins(self, text):
        """If a call would have begun after this text: what of it follows the mark; else None."""
        ...
