from __future__ import annotations
from typing import Any
from llama_nbchat.errors import ParameterError

__all__ = ['OPTIONS', 'check_order', 'check_places', 'check_before_loading', 'check_before_asking']
OPTIONS: Any

def check_order(llm, system_message):
    """Raises an error if the model stands where the system message belongs. It says how to write both."""
    ...

def check_places(params, known, file):
    """Raises `ParameterError` for a name that belongs elsewhere, and says where; `file` is how `load` is to be told it."""
    ...

def check_before_loading(source, params):
    """Raises `ParameterError` for what can be no sampling parameter of a model that is loaded from a file."""
    ...

def check_before_asking(address: str, params: dict):
    """Raises `ParameterError` for what is a setting of a server's model."""
    ...
