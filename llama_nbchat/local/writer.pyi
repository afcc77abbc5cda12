from __future__ import annotations
from typing import Any

__all__ = ['Stops', 'Writer']

class Stops:
    """Finds stop strings in a text that comes in pieces."""
    next: Any
    depth: Any
    ending: Any
    back: Any
    place: Any
    first: Any

    def __init__(self, stops):
        ...

    def feed(self, text):
        """How far before the end of this piece the first stop string begins, or 0; how much may be the beginning of one."""
        ...

class Writer:
    """Makes text of tokens as they come."""
    piece: Any
    stops: Any
    decoder: Any
    tokens: Any
    texts: Any
    held: Any
    read: Any
    given: Any
    stopped: Any
    marks: Any

    def __init__(self, piece, stops):
        ...

    def write(self, token) -> str:
        """The text that can be shown now that this token has come."""
        ...

    def close(self, goes_on=...) -> str:
        """The text that was held back, once nothing follows; half a character is none, if its other half can still come."""
        ...

    def written(self):
        """The text that was given as far as it is made of whole tokens, and these tokens."""
        ...
