from __future__ import annotations
from typing import Any
from types import ModuleType
from llama_nbchat.errors import NotInstalledError

__all__ = ['optional', 'import_llama_cpp', 'how_to_install', 'cpu_flags', 'thread_time']
thread_time: Any

def optional(name: str, extra: str) -> ModuleType:
    """A module that may not be installed. Raises `NotInstalledError`, which says how to install it."""
    ...

def how_to_install() -> str:
    """The command that installs llama-cpp-python without compiling it, for this machine."""
    ...

def cpu_flags() -> frozenset[str]:
    """The names of the instruction sets of this processor, as Linux calls them; empty where nobody tells."""
    ...

def import_llama_cpp() -> ModuleType:
    """The module of llama-cpp-python. Raises `NotInstalledError` if it is missing, or was built for other processors."""
    ...
