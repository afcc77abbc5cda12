from __future__ import annotations
from typing import Any
from collections.abc import Iterator
from llama_nbchat.errors import ChatError
from llama_nbchat.model import ChatModel
from llama_nbchat.reply import Delta

__all__ = ['CompletionModel']

class CompletionModel(ChatModel):
    """A `ChatModel` out of any object with `create_chat_completion(messages, stream=True, **params)`."""
    can: Any
    llm: Any
    name: Any
    n_ctx: Any
    parameters: Any

    def __init__(self, llm: Any):
        ...

    def __repr__(self):
        ...

    def stream(self, messages: list[dict], **params) -> Iterator[Delta]:
        """The answer, piece by piece; the last `Delta` says why it ended. Raises `ChatError` if there is none."""
        ...

    def count(self, messages: list[dict], tools: list[dict]=...) -> int:
        """About how many tokens of the context window the conversation takes."""
        ...

def without_reasoning(messages):
    """What servers take: some refuse what they have sent themselves."""
    ...

class CallPieces:
    """Puts calls of functions together that come in pieces."""
    calls: Any

    def __init__(self):
        ...

    def add(self, chunk):
        """Takes what a chunk has of calls; what is no call is passed over."""
        ...

    def whole(self) -> tuple[dict, ...]:
        """The calls, each complete, in OpenAI's form."""
        ...

def read_chunk(chunk, reason, usage) -> tuple[str, str, str | None, dict]:
    """Text and reasoning of a chunk, finish reason and usage. Raises an error for what is no part of the dialect."""
    ...

def usage_of(usage, pieces):
    ...
