from __future__ import annotations
from typing import Any
from llama_nbchat.local.cache import Transcripts

__all__ = ['transcripts_of', 'are_tokens', 'is_transcript']

def transcripts_of(transcripts: Transcripts, tokens: list[int]) -> list[list]:
    """The transcripts that lead to these tokens, the latest last, as far as there is room."""
    ...

def are_tokens(values, last: int) -> bool:
    """Whether it is a list of tokens."""
    ...

def is_transcript(entry, n: int, last: int) -> bool:
    """Whether it is a prompt, an answer, characters of it, how many of the `n` tokens, and at most one more."""
    ...
