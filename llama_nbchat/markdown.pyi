from __future__ import annotations
from typing import Any

__all__ = ['safe_markdown', 'safe_html', 'safe_text']

def safe_text(text: str) -> str:
    """HTML that shows the text as it is."""
    ...

class _TooMuch(Exception):
    """The HTML of a text is much longer than the text."""
    ...

def safe_html(text: str, images: bool=...) -> str:
    """HTML that shows the text, and does nothing else."""
    ...

def safe_markdown(text: str, images: bool=...) -> str:
    """Markdown that shows the text, and does nothing else, whichever program reads it."""
    ...
