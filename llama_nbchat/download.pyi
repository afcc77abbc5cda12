from __future__ import annotations
from typing import Any
from pathlib import Path
from llama_nbchat.errors import ModelNotFoundError

__all__ = ['download', 'chosen', 'hub_name']

def hub_name(source: Any) -> tuple[str, str] | None:
    """The parts of a name on Hugging Face; None for anything else."""
    ...

def chosen(names: list[str], wanted: str=...) -> list[str]:
    """The files that make up the model that is meant."""
    ...

def download(repository: str, wanted: str=..., say=...) -> Path:
    """Downloads a model from Hugging Face. Raises `ModelNotFoundError` if that can't be done, and says what to do."""
    ...
