from __future__ import annotations
from typing import Any
from llama_nbchat.conversation import ChatMessages
from llama_nbchat.errors import ConversationFileError
from llama_nbchat.errors import MessageError
from llama_nbchat.reply import Reply

__all__ = ['document_of', 'conversation_of', 'talks_in', 'noted', 'kept_params', 'embedded', 'found_in', 'node_id']

def kept_params(params: dict) -> dict:
    """The parameters that JSON can hold, without those that may hold a secret."""
    ...

def document_of(messages: ChatMessages, **about) -> dict:
    """The conversation as a dict that JSON can hold, with all that is known about its turns."""
    ...

def conversation_of(document: Any) -> ChatMessages:
    """The conversation. Raises `MessageError` for what can be none."""
    ...

def node_id(before: str, what: Any) -> str:
    """The id of a turn, or of a system message, which stands for all that led to it."""
    ...

def embedded(document: dict) -> str:
    """The document as JSON in which HTML and Markdown find no mark."""
    ...

def found_in(text: str) -> Any:
    """The conversation that a text holds, for `conversation_of`. Raises `ConversationFileError` if there is none."""
    ...

def noted(messages: ChatMessages, turn: Reply) -> dict:
    """What an output notes beside the answer that it shows."""
    ...

def talks_in(notebook: dict) -> list[ChatMessages]:
    """The conversations in the outputs of a notebook, in the order in which they begin. Raises `MessageError`."""
    ...
