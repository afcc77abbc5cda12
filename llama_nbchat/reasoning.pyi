from __future__ import annotations
from typing import Any
from collections.abc import Mapping
from llama_nbchat.reply import Delta

__all__ = ['REASONING', 'CONTROL', 'Apart', 'begins_reasoning']
REASONING: Any
CONTROL: Any

def begins_reasoning(text: str, marks: Mapping=...) -> str:
    """The mark that opens reasoning with which the text ends, spaces aside; nothing if there is none."""
    ...

class Apart:
    """Takes reasoning and answer apart, in the same way wherever the text is cut into pieces."""
    marks: Any
    held: Any
    half: Any
    state: Any
    closing: Any
    channels: Any
    in_code: Any
    settled: Any
    rethought: Any
    first: Any
    anywhere: Any
    stray: Any
    steps: Any

    def __init__(self, marks: Mapping=...):
        ...

    def feed(self, piece: str) -> tuple[str, str]:
        """What the answer grows by, and the reasoning. If `rethought` is true then, all text so far was reasoning."""
        ...

    def close(self) -> tuple[str, str]:
        """The same for what is held, when nothing more will come."""
        ...

    def delta(self, delta: Delta) -> Delta:
        """The same with text and reasoning apart."""
        ...

    def rest(self) -> Delta:
        """What was held back, when nothing more will come."""
        ...
