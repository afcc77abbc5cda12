from __future__ import annotations
from typing import Any
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from llama_nbchat.errors import ChatError
from llama_nbchat.errors import shown
from llama_nbchat.model import ChatModel
from llama_nbchat.reply import Delta

__all__ = ['ServerModel', 'PARAMETERS', 'SETTINGS', 'is_address', 'shown_address']
SETTINGS: Any
PARAMETERS: Any

def is_address(source: Any) -> bool:
    """Whether this is the address of a server, such as "http://localhost:8080"."""
    ...

def shown_address(text: str) -> str:
    """The text as it can be shown: without a login, and without what follows a question mark."""
    ...

@dataclass(frozen=True)
class _Kind:
    """What a kind of server tells and takes."""
    name: str
    signs: tuple = ...
    can: frozenset = ...
    names: Mapping = ...
    resume: Mapping = ...
    extra: Mapping = ...
    thinking: str = ...

class ServerModel(ChatModel):
    """A model on a server that speaks like OpenAI's."""
    address: Any
    place: Any
    model: Any
    name: Any
    n_ctx: Any
    can: Any
    parameters: Any

    def __init__(self, address: str, model: str | None=..., *, api_key: str | None=..., n_ctx: int | None=..., timeout: float | None=...):
        ...

    def __repr__(self):
        ...

    def count(self, messages: list[dict], tools: list[dict]=...) -> int:
        """How many tokens of the context window the conversation takes."""
        ...

    def stream(self, messages: list[dict], **params) -> Iterator[Delta]:
        """The answer, piece by piece. Closing the iterator closes the request. Raises `ChatError` if there is none."""
        ...

class _Client:
    """Requests to one server, none of which is repeated or sent elsewhere."""
    meant: Any
    has_key: Any
    root: Any

    def __init__(self, base, login, api_key, timeout):
        ...

    def clean(self, error):
        """What an error says, without the key, and not too long."""
        ...

    def get(self, path, post=...):
        """The JSON at a path beside the interface, None if there is none."""
        ...

    @contextmanager
    def lines(self, request):
        """The lines of an answer to a request; the request ends when the block does."""
        ...

    def names(self):
        """The names of the models that the server has. Raises `ValueError` if it sends no such list."""
        ...

    def __repr__(self):
        ...

    def __reduce__(self):
        ...
