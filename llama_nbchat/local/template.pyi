from __future__ import annotations
from typing import Any
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from llama_nbchat.errors import GenerationError
from llama_nbchat.errors import MessageError
from llama_nbchat.errors import ModelFileError
from llama_nbchat.errors import ParameterError

__all__ = ['ChatTemplate', 'Prompt', 'MARK', 'mark', 'marked_name', 'finding', 'named_token']
MARK: Any

@dataclass(frozen=True)
class Prompt:
    """A conversation as the template writes it."""
    text: str
    begun: str = ...
    opened: str = ...
    shared: int = ...
    add_bos: bool = ...
    settings: dict = ...

def marked_name(name: str, sign: str=...) -> str:
    """The name of a control token as a text that is none."""
    ...

def mark(value: Any, names: re.Pattern, sign: str=...):
    """Puts a mark into the names of control tokens."""
    ...

def finding(names: list[str], begun: bool=...) -> re.Pattern:
    """Finds any of the names."""
    ...

class _Listener:
    """Stands in for a `Llama` before a chat handler, and keeps what it asks for."""

    def __init__(self, llm):
        ...

    def tokenize(self, text, add_bos=..., special=...):
        ...

    def create_completion(self, prompt, **settings):
        ...

def named_token(llm, kind: str) -> int | None:
    """The number of the token that the header of the file names as `bos`, `eos`, ...; None if it does not."""
    ...

class ChatTemplate:
    """How conversations are written down, once that has been tried. Raises `ModelFileError`, `ParameterError`."""
    source: Any
    file: Any
    llm: Any
    name: Any
    defaults: Any
    variables: Any
    marks: Any
    parameters: Any
    names: Any
    marked: Any
    in_texts: Any
    adds_bos: Any
    begin: Any
    handler: Any

    def __init__(self, llm: Any, chat_format: str | None, control_names: Callable):
        ...

    def note(self) -> str:
        """What the user is to know about the template, in words; nothing if it does all that it should."""
        ...

    def prompt(self, messages: list[dict], params: Mapping) -> Prompt:
        """The conversation, written down. Raises `MessageError`, or `GenerationError` if the template refuses it."""
        ...

@dataclass(frozen=True)
class _Way:
    """How messages are changed before a template gets them."""
    system: str = ...
    parts: bool = ...
    names: tuple = ...
