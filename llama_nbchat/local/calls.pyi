from __future__ import annotations
from typing import Any
import ast
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ['CallFormat', 'CallReader', 'as_call']

def as_call(name: str, arguments: str | Mapping, id: str=...) -> dict:
    """A call in OpenAI's form."""
    ...

@dataclass(frozen=True)
class CallFormat:
    """How a model writes that functions are to be called, and how it is told of functions and results."""
    form: str
    opens: str
    before: str = ...
    call: str = ...
    between: str = ...
    after: str = ...
    base: int = ...
    empty: str = ...
    openings: tuple = ...
    next: str = ...
    plain: tuple = ...
    quote: str = ...
    spelling: tuple = ...
    path: tuple = ...
    source: str = ...
    as_text: bool = ...
    single: bool = ...
    written: bool = ...
    results: str = ...
    listed: bool = ...

    def __repr__(self):
        ...

    def write(self, calls: Iterable[dict]) -> str:
        """The calls as the model writes them."""
        ...

    @property
    def marks(self) -> list[str]:
        """The marks around calls and arguments."""
        ...

    def read(self, text: str, tools: Iterable[dict]=...) -> tuple[list[dict], str]:
        """The calls in a text, in OpenAI's form, and the text without them."""
        ...

    def prepared(self, messages: list[dict], tools: Iterable[dict]=...) -> tuple[list[dict], list[dict]]:
        """Messages and tools as the template takes them; no tools, if the system message lists them."""
        ...

    def listing(self, tools: Iterable[dict]) -> str:
        """What a model is told of functions in the system message."""
        ...

    def grammar(self, tools: Iterable[dict], token: Callable=..., begun: bool=..., several: bool=...) -> str:
        """A grammar in llguidance's form of Lark, for calls of these functions and nothing else."""
        ...

    def no_call(self) -> str:
        """A grammar, in the same form, for any text without a call."""
        ...

class _Broken(Exception):
    """What was taken for a call is none."""
    ...

class CallReader:
    """Takes the calls out of a text as it grows."""
    format: Any
    to_the_end: Any
    schemas: Any
    held: Any
    said: Any
    within: Any
    seen: Any
    over: Any

    def __init__(self, format: CallFormat, tools: Iterable[dict]=..., to_the_end: bool=...):
        ...

    def feed(self, piece: str) -> tuple[str, list[dict]]:
        """What the answer grows by, and the calls that are complete now."""
        ...

    def close(self) -> tuple[str, list[dict]]:
        """The same for what is held, when nothing more will come."""
        ...

class _JsonNames(ast.NodeTransformer):
    """Lets `true`, `false` and `null` stand for what they mean in JSON."""
    known: Any

    def visit_Name(self, node):
        ...

class _Lark:
    """The rules of a grammar, as they are written."""
    signs: Any
    token: Any
    rules: Any
    names: Any

    def __init__(self, token):
        ...

    def add(self, name, body, options=...):
        ...

    def literal(self, text):
        ...

    def text_until(self, name, closing):
        ...
