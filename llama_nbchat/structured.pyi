from __future__ import annotations
from typing import Any
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ['Choice', 'Quoted']

@dataclass(frozen=True)
class _Form:
    """What an object is to be like."""
    schema: Mapping
    read: Callable[[str], Any]
    lenient: bool = ...

class Choice(str):
    """One of several options."""
    probabilities: Mapping

class Quoted(str):
    """An answer with quotations."""
    quotations: tuple
