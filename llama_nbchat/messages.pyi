from __future__ import annotations
from typing import Any
from dataclasses import dataclass
from llama_nbchat.errors import MessageError
from llama_nbchat.errors import MessageTypeError

__all__ = ['Message', 'alternating', 'check_text', 'checked_content', 'whole_text', 'told']

def whole_text(text: str) -> str:
    """The text with the two halves of a character put together; a half that is alone becomes U+FFFD."""
    ...

def told(error) -> str:
    """What an error says."""
    ...

def check_text(content, what: str, **details):
    """Raises `MessageTypeError` for anything but a `str`, and says where the text may be."""
    ...

def checked_content(content, what: str, **details) -> str | list[dict]:
    """The content with whole texts; raises `MessageTypeError` for what is neither a text nor a list of parts."""
    ...

@dataclass(frozen=True)
class Message:
    """What one side said. Raises `MessageTypeError` for a content that is neither a text nor a list of parts."""
    role: str
    content: str | list = ...
    reasoning: str = ...
    tool_calls: tuple = ...
    tool_call_id: str | None = ...

    def __post_init__(self):
        ...

    @property
    def text(self) -> str:
        """The text alone, without images."""
        ...

    def as_dict(self) -> dict:
        """The message as a dict of its own, in the form that OpenAI has introduced."""
        ...

    @classmethod
    def from_dict(cls, message) -> Message:
        """The message; raises `MessageError` for what is none."""
        ...

def alternating(messages: list[dict]) -> list[dict]:
    """The messages with user and assistant in turn, the user first, and no answer that is empty."""
    ...
