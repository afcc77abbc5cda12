from __future__ import annotations
from typing import Any
from collections.abc import Iterable

__all__ = ['ScriptedModel', 'as_completion']

class ScriptedModel:
    """Stands in for a `llama_cpp.Llama`: answers each prompt with the next reply of a script, then begins again."""
    replies: Any
    finish_reason: Any
    requests: Any

    def __init__(self, *replies: str | list, finish_reason: str=...):
        ...

    def create_chat_completion(self, messages: list[dict], stream: bool=..., **params):
        """A completion as a dict, or as a generator of chunks if `stream`."""
        ...

def as_completion(chunks: Iterable[dict]) -> dict:
    """The same answer as one completion."""
    ...
