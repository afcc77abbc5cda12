from __future__ import annotations
from typing import Any
import os
from typing import NoReturn
from llama_nbchat.errors import StateError

__all__ = ['write_state', 'read_state', 'read_about', 'digest_of', 'refuse_state', 'replace_file']

def refuse_state(path: Any, why: str) -> NoReturn:
    """Raises the `StateError` for a file that no state can be had from."""
    ...

def replace_file(name: str, parts: list, new: int=...):
    """Writes a new file of these parts, and puts it into the place of the old one. What fails leaves nothing behind."""
    ...

def write_state(path: str | os.PathLike, about: dict, state: bytes, mode: int=...):
    """Writes a state in one step. Raises `StateError` if it can't be written; then the old file is as it was."""
    ...

def read_state(path: str | os.PathLike, most: int) -> tuple[dict, bytes]:
    """Reads a state. Raises `StateError`, whatever is wrong with the file. Who wrote it is for the reader to know."""
    ...

def read_about(path: str | os.PathLike) -> tuple[dict, str]:
    """Reads what a state is about, without the state. Raises `StateError`. Whether it is intact, the digest tells alone."""
    ...

def digest_of(about: dict) -> str:
    """The digest that `read_about` tells for a state about this."""
    ...
