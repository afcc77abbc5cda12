from __future__ import annotations
from typing import Any
from pathlib import Path

__all__ = ['Database']

class Database:
    """A file that keeps conversations, for all threads of this process."""
    path: Any

    def __init__(self, path: str | Path):
        ...

    def __repr__(self):
        ...

    def __del__(self):
        ...

    def clean(self):
        """Takes out of the file what was deleted in it. `forget` does so, too."""
        ...

class _Forgotten(Exception):
    """The conversation that is to be written to, or a turn that leads to it, is not in the file any more."""
    ...

class _Answer:
    """An answer that is being written, with the pieces of it that are not in the file yet."""
    reply: Any
    steps: Any
    head: Any
    before: Any
    instead_of: Any
    apart: Any
    written: Any
    beat: Any

    def __init__(self, messages, reply):
        ...

    def is_of(self, reply):
        ...

    def add(self, reply, delta):
        ...
