from __future__ import annotations
from typing import Any
from collections.abc import Iterator
from collections.abc import Mapping
from llama_nbchat.reply import Delta

__all__ = ['ChatModel', 'is_model', 'trait', 'can', 'window']

class _NameOfClass:
    """What an object is called that has no name of its own."""

    def __get__(self, model, owner):
        ...

class ChatModel:
    """A model to chat with. Override `stream`; the rest has defaults."""
    n_ctx: int | None
    parameters: frozenset[str] | None
    can: frozenset[str]
    marks: Mapping[str, str]
    name: str

    def stream(self, messages: list[dict], **params) -> Iterator[Delta]:
        """The answer, piece by piece; closing the iterator stops the model. Raises a `ChatError` for what fails."""
        ...

    def count(self, messages: list[dict], tools: list[dict]=...) -> int:
        """How many tokens of the context window the conversation takes: an estimate, a little too high."""
        ...

def is_model(source) -> bool:
    """Whether this is a model: an object, and no class, with a method `stream`."""
    ...

def trait(model, name: str):
    """What a model says of itself, or the default where it says nothing."""
    ...

def can(model, what: str) -> bool:
    """Whether a model says that it can do something. (`resumes` was the name of the first of these things.)"""
    ...

def window(model) -> int | None:
    """Its context window in tokens, if it tells."""
    ...
