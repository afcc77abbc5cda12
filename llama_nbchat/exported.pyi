from __future__ import annotations
from typing import Any
from llama_nbchat.conversation import ChatMessages
from llama_nbchat.display import conversation

__all__ = ['page_of', 'markdown_of', 'notebook_of']

def page_of(messages: ChatMessages, document: dict, title: str, about: str=..., speaker: str=...) -> str:
    """A page of HTML that shows the conversation, and does nothing else."""
    ...

def markdown_of(messages: ChatMessages, document: dict, title: str, about: str=..., speaker: str=...) -> str:
    """Markdown that shows the conversation, and does nothing else."""
    ...

class _Code(str):
    """What is code already."""
    ...

def notebook_of(messages: ChatMessages, document: dict, title: str, about: str=..., speaker: str=..., loading: str=...) -> dict:
    """A notebook that shows the conversation, and can have it again."""
    ...
