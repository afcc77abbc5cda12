from __future__ import annotations
from typing import Any
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from llama_nbchat.completion import CompletionModel
from llama_nbchat.errors import StateError

__all__ = ['BrowserModel', 'Writing', 'in_browser']

def in_browser() -> bool:
    """Whether Python itself runs in a browser."""
    ...

@dataclass(frozen=True)
class Writing:
    """How a conversation is written down for the model of a file."""
    plain: Callable
    render: Callable | None = ...
    begin: str = ...
    variables: frozenset = ...

class _Wllama:
    """llama.cpp in WebAssembly."""
    model_path: Any
    writing: Any
    n_ctx: Any

    def __init__(self, path, writing, seed=..., **settings):
        ...

    def create_chat_completion(self, messages, stream=..., **params):
        ...

class BrowserModel(CompletionModel):
    """A model in the browser, for Python that runs in the browser, too."""
    settings: Any
    parameters: Any
    can: Any

    def __init__(self, path: str | Path, writing: Writing, **settings):
        ...

    def __repr__(self):
        ...

    def count(self, messages: list[dict]) -> int:
        """About how many tokens of the context window the conversation takes."""
        ...

    def save_state(self, path: str | Path):
        """Writes down what the model has read last. Raises `StateError` if that is nothing."""
        ...

    def load_state(self, path: str | Path):
        """Lets the model read what was saved. Raises `StateError` if the file does not fit."""
        ...
