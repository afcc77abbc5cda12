from __future__ import annotations
from typing import Any

__all__ = ['diagnosis']

def diagnosis() -> str:
    """What is installed, what is found, and the one line to type."""
    ...

def main(words: list[str] | None=...):
    """Prints the diagnosis, or how to ask for it."""
    ...
