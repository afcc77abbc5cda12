from __future__ import annotations
from typing import Any
from collections.abc import Callable
from dataclasses import dataclass
from llama_nbchat.errors import ModelFileError
from llama_nbchat.errors import ModelNotFoundError
from llama_nbchat.errors import ModelTypeError
from llama_nbchat.errors import ParameterError
from llama_nbchat.model import ChatModel

__all__ = ['load', 'is_file', 'chat_parameters', 'file_settings', 'template_variables', 'demo_path']

def is_file(source: Any) -> bool:
    """Whether `load` would load a file for this source."""
    ...

def file_settings() -> frozenset[str]:
    """The names of the settings that a file can be loaded with."""
    ...

def chat_parameters() -> frozenset[str]:
    """The names of the sampling parameters of a model that is loaded from a file."""
    ...

def template_variables(source: Any) -> frozenset[str]:
    """What the chat template in a file asks for; nothing if it can't be read."""
    ...

@dataclass(frozen=True)
class Source:
    """A kind of thing that `load` takes."""
    takes: Callable[[Any], bool]
    open: Callable[..., ChatModel]
    settings: frozenset = ...
    check: Callable | None = ...

    def checked(self, source, params):
        """The settings, once they are found to be such."""
        ...

def load(source: Any | None=..., **params) -> ChatModel:
    """A model to chat with. Raises `ModelNotFoundError`, `ModelFileError`, `ModelTypeError` or `ParameterError`."""
    ...
