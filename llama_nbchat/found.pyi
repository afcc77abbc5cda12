from __future__ import annotations
from typing import Any
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from llama_nbchat.errors import ModelNotFoundError
from llama_nbchat.errors import shown

__all__ = ['Found', 'Models', 'models', 'named', 'nearest', 'demo_path', 'is_name', 'in_one_line']

@dataclass(frozen=True)
class Found:
    """A model on this machine. What is not known of it is None."""
    name: str
    path: Path | None
    where: str
    parameters: int | None = ...
    quantization: str | None = ...
    n_ctx: int | None = ...
    size: int | None = ...
    problem: str = ...
    also: tuple[str, ...] = ...
    kept: tuple[str, ...] = ...

    def __fspath__(self) -> str:
        ...

class Models(Sequence[Found]):
    """Models that were found, as a table."""
    rows: Any
    notes: Any
    if_none: Any

    def __init__(self, rows: list[Found], notes: list[str]=..., if_none: str=...):
        ...

    def __len__(self) -> int:
        ...

    def __getitem__(self, index: int) -> Found:
        ...

    def __repr__(self):
        ...

def in_one_line(text: str) -> str:
    """The text as it can be shown in a line of a table."""
    ...

def demo_path() -> Path:
    """Where the demo model lies: a GGUF file inside the package."""
    ...

@dataclass(frozen=True)
class _Look:
    """What a header says of a model."""
    parameters: int | None = ...
    n_ctx: int | None = ...
    architecture: str = ...
    quantization: str | None = ...
    problem: str = ...

@dataclass(frozen=True)
class _Sight:
    name: str
    path: Path | None
    where: str
    problem: str = ...

def is_name(text: str) -> bool:
    """Whether this may be the name of a model: no path, no address, and no text for a system message."""
    ...

def models(words: str=...) -> Models:
    """The models on this machine, as far as they are found within two seconds. Only headers are read."""
    ...

def named(name: str, among: Models | None=...) -> Found | None:
    """The model of this name. Raises `ModelNotFoundError` if several may be meant."""
    ...

def nearest(name: str, among: Models) -> list[str]:
    """The names that are most like this one."""
    ...
