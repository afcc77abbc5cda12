from __future__ import annotations
from typing import Any
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from llama_nbchat.errors import ModelFileError

__all__ = ['Header', 'read_header', 'control_names', 'why_no_chat', 'goes_along']

class _Front:
    """A file that is read from front to back. Raises `ModelFileError` where that ends too early, or never."""
    file: Any
    path: Any
    size: Any
    budget: Any
    begin: Any
    piece: Any
    at: Any

    def __init__(self, file, path):
        ...

    def refuse(self, why):
        ...

    def position(self):
        ...

    def spend(self, cost):
        ...

    def go(self, position, size=...):
        """Goes on from there, with at least `size` bytes at hand."""
        ...

    def take(self, size):
        """The next bytes."""
        ...

class _Values(_Front):
    """Reads the values of a header."""

    def number(self, kind):
        ...

    def text(self):
        ...

    def damaged(self, name, how):
        """Refuses a file because of a key or a tensor."""
        ...

    def skip_texts(self, count):
        ...

    def value(self, kind, key):
        """A value of the type: a number, a `bool`, a `str` or an `Array`."""
        ...

    def array(self, key):
        ...

class Array(NamedTuple):
    """Where an array of `count` values lies in the file. `kind` is their type: 8 for texts."""
    kind: int
    count: int
    begin: int
    end: int

@dataclass
class Header:
    """What a model file says of itself."""
    path: Path
    size: int
    values: dict[str, Any]
    tensors: dict[str, 'Tensor'] = ...
    begin: int = ...
    end: int = ...
    brief: bool = ...

    @property
    def architecture(self) -> str:
        ...

    def own(self, key, default=...):
        """The value for a key of the architecture."""
        ...

    def numbers(self, key) -> list:
        """The numbers for a key of the architecture: one for each layer, one for all, or none."""
        ...

    def items(self, array) -> list:
        """What is in an array: numbers, or texts as bytes."""
        ...

class Tensor(NamedTuple):
    """The weights that lie together under a name. `kind` is the type of a weight."""
    shape: tuple[int, ...]
    kind: int
    offset: int

def read_header(path: str | os.PathLike, brief: bool=...) -> Header:
    """What a model file says of itself. Raises `ModelFileError` if it is none, or damaged, or ends within its header."""
    ...

def control_names(header: Header) -> list[str]:
    """The names of all control tokens, the longest first: what a tokenizer would take for more than text."""
    ...

def why_no_chat(header: Header) -> str:
    """Why a file can't be chatted with, as far as its header tells."""
    ...

def goes_along(name: str) -> bool:
    """Whether a GGUF file is no model by itself, but goes along with one, as its name says."""
    ...
