from __future__ import annotations
from typing import Any
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from llama_nbchat.errors import ParameterError
from llama_nbchat.errors import ToolError
from llama_nbchat.reply import Call

__all__ = ['Tool', 'Tools', 'result_text', 'cut_in_the_middle']

@dataclass(frozen=True)
class _Parameter:
    """A parameter of a tool."""
    name: str
    hint: Any
    default: Any
    adapter: Any
    words: str = ...

    @property
    def is_required(self):
        ...

class Tool:
    """A function that a model may call. Raises `ToolError` for one that it can't."""
    function: Any
    name: Any
    description: Any
    parameters: Any
    schema: Any

    def __init__(self, function: Callable):
        ...

    def __repr__(self):
        ...

    def as_dict(self) -> dict:
        """The tool in OpenAI's form."""
        ...

    def check(self, arguments: str | Mapping) -> dict:
        """The arguments as the function takes them. Raises `ToolError` in words for the model."""
        ...

def result_text(result) -> str:
    """A result as a text for the model."""
    ...

def cut_in_the_middle(text: str, most: int) -> str:
    """The text, or its beginning and its end, and between them how much was left out."""
    ...

class Tools:
    """The functions that a model may call. Raises `ToolError` for those that it can't, and for two of one name."""
    confirm: Any
    seconds: Any
    most: Any
    tools: Any

    def __init__(self, functions: Iterable[Callable], confirm: bool | Callable=..., seconds: float | None=..., most: int=...):
        ...

    def __len__(self):
        ...

    def __repr__(self):
        ...

    def as_dicts(self) -> list[dict]:
        """The tools in OpenAI's form."""
        ...

    def choice(self, given: str | Mapping | None) -> str | dict | None:
        """The same in OpenAI's form. Raises `ParameterError` for a function that there is not."""
        ...

    def run(self, call: Mapping, before: Call | None=..., most: int | None=...) -> Call:
        """The call and its result. Raises `KeyboardInterrupt`."""
        ...
