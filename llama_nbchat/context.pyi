from __future__ import annotations
from typing import Any
from collections.abc import Callable
from dataclasses import dataclass
from llama_nbchat.errors import ContextOverflowError

__all__ = ['Context', 'fit']

@dataclass(frozen=True)
class Context:
    """How much of a context window a conversation takes, in tokens."""
    used: int
    limit: int | None

    def __int__(self):
        ...

    def __str__(self):
        ...

def fit(messages: list[dict], count: Callable[[list[dict]], int], limit: int | None, overflow: str | Callable=..., room: int=..., left_out: int=...) -> tuple[list[dict], int]:
    """The messages that a model gets. Raises `ContextOverflowError` if the newest prompt alone does not fit."""
    ...
