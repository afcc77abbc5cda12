from __future__ import annotations
from typing import Any
from pathlib import Path
from llama_nbchat.errors import ModelFileError
from llama_nbchat.errors import ModelNotFoundError
from llama_nbchat.errors import ModelTypeError
from llama_nbchat.errors import ParameterError
from llama_nbchat.model import ChatModel

__all__ = ['load', 'is_file', 'model_settings', 'chat_parameters', 'template_variables', 'demo_path']
MAX_CONTEXT: Any

def model_settings() -> frozenset[str]:
    """The names that `load` takes for a file."""
    ...

def demo_path() -> Path:
    """Where the demo model lies: a GGUF file inside the package."""
    ...

def chat_parameters() -> frozenset[str]:
    """The names of the sampling parameters of a model that is loaded from a file."""
    ...

def template_variables(source: Any) -> frozenset[str]:
    """What the chat template in a file asks for; nothing if it can't be read."""
    ...

def load(source: Any | None=..., **params) -> ChatModel:
    """A model to chat with. Raises `ModelNotFoundError`, `ModelFileError`, `ModelTypeError` or `ParameterError`."""
    ...

def is_file(source: Any) -> bool:
    """Whether `load` would load a file for this source."""
    ...
