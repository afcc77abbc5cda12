from __future__ import annotations
from typing import Any
from llama_nbchat.model import window
from llama_nbchat.reply import Reply

__all__ = ['note', 'is_full', 'token_limit']

def is_full(reply: Reply, model: Any) -> bool:
    """Whether the context window has no room for another token, as far as that is known."""
    ...

def token_limit(params: dict) -> int | None:
    """How many tokens an answer may have, if there is a limit."""
    ...

def note(chat: Any, reply: Reply, params: dict, stopped: bool=...) -> str:
    """What is said below an answer; nothing if it is complete and no figures are wanted."""
    ...
