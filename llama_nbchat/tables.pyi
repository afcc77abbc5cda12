from __future__ import annotations
from typing import Any

__all__ = ['as_table', 'in_lines', 'completed']

def completed(text: str) -> str:
    """What there is of some JSON, closed where it is open."""
    ...

def as_table(text: str, whole: bool=...) -> str | None:
    """A list of objects as a table, in so far as it is there."""
    ...

def in_lines(text: str) -> str:
    """JSON as people like to read it."""
    ...
