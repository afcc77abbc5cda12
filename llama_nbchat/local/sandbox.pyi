from __future__ import annotations
from typing import Any

__all__ = ['SandboxedTemplate', 'TemplateFault', 'plainly']

def plainly(text: str, most: int=...) -> str:
    """The text on one line, cut if it is long; what a terminal would not print as it stands is replaced."""
    ...

class TemplateFault(Exception):
    """A template that can't be used; `kind` tells why: syntax, undefined, refused, limit, or failed."""
    kind: Any

    def __init__(self, what: str, kind: str):
        ...

class _Budget:
    """What a rendering may still make, in characters."""
    given: Any
    left: Any
    calls: Any
    depth: Any
    end: Any
    sizes: Any
    own: Any

    def __init__(self, given=...):
        ...

    def spend(self, size=...):
        """Takes something from the budget. Raises `TemplateFault` if there is not enough, or no time left."""
        ...

    def size(self, value) -> int:
        """How long the text of a value could be, about: what is within a list counts as often as it would be written."""
        ...

class _Counted:
    """Values, counted as they are gone through."""
    budget: Any
    values: Any

    def __init__(self, budget, values):
        ...

    def __len__(self):
        ...

    def __iter__(self):
        ...

class SandboxedTemplate:
    """A chat template of anybody's. Raises `TemplateFault`, here and while rendering, and no other error."""
    called: Any
    variables: Any
    code: Any

    def __init__(self, source: str):
        ...

    def render(self, **variables) -> str:
        """The text that it makes of them."""
        ...
