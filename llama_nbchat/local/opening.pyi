from __future__ import annotations
from typing import Any
import os
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from llama_nbchat.errors import ModelFileError
from llama_nbchat.errors import ModelNotFoundError
from llama_nbchat.errors import ParameterError
from llama_nbchat.local.gguf import Header

__all__ = ['model_file', 'how_to_get', 'names_family', 'open_file', 'model_settings', 'examined']
MAX_CONTEXT: Any

def model_file(source: str | os.PathLike) -> Path:
    """The path of the model file, once it is known to be one. Raises `ModelNotFoundError` or `ModelFileError`."""
    ...

def names_family(name: str) -> bool:
    """Whether it begins like the names of a family of models."""
    ...

def how_to_get(given: str) -> str:
    """Where there are GGUF files of a model, for an error."""
    ...

def examined(path: Path, overrides: Mapping=...) -> Header:
    """The header of a file that may be loaded. Raises `ModelFileError`."""
    ...

def open_file(path: Path, params: dict, progress: Callable | None=...) -> Any:
    """The model in a file. Raises `ModelFileError`, or `ParameterError` for what `Llama` does not take."""
    ...

def model_settings() -> frozenset[str]:
    """The names that `load` takes for a file."""
    ...
