from __future__ import annotations
from typing import Any

__all__ = ['view']

def view(value: Any, most: int=...) -> str:
    """What a model should see of a value: a text of at most so many characters, which says what it leaves out."""
    ...
