from __future__ import annotations
from typing import Any

__all__ = ['rewritten', 'fenced', 'quoted', 'escaped']

def fenced(text: str, language: str=...) -> str:
    """The text as a block of code, which nothing in it can end."""
    ...

def escaped(text: str) -> str:
    """Markdown that shows the text as it is."""
    ...

def quoted(text: str) -> str:
    """The text as it stands, as a quotation."""
    ...

def rewritten(text: str) -> str:
    """Markdown that shows the text, and does nothing else, in programs that keep to CommonMark. It can be read as it is."""
    ...
