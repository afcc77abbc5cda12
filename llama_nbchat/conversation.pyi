from __future__ import annotations
from typing import Any
from llama_nbchat.errors import Advises
from llama_nbchat.errors import MessageError
from llama_nbchat.messages import Message
from llama_nbchat.reply import Reply

__all__ = ['ChatMessages', 'Tree', 'said']

class ChatMessages(Advises):
    """The messages of one conversation, in order: a system message, and turns."""
    __hash__: Any
    system: Any
    tip: Any
    left: Any

    def __init__(self):
        """Starts without messages."""
        ...

    @property
    def turns(self) -> list[Reply]:
        """The turns, from the first one to the tip."""
        ...

    def go(self, turn: Reply | None):
        """Makes a turn the tip. Where this does not lead on from the last tip, that one is kept in `left`."""
        ...

    def append_system_message(self, content: str):
        """Appends the system message; raises `MessageError` unless it is the first message."""
        ...

    def append_user_message(self, content: str | list):
        """Appends what the user says."""
        ...

    def append_assistant_message(self, content: str | list):
        """Appends what the model answered."""
        ...

    def append_turn(self, user: str | list, assistant: str | list, at: int | None=...):
        """Appends a user message and the answer to it together: both, or, if one of them is no content, none."""
        ...

    def cut(self, at: int):
        """Takes back all messages but the first `at`."""
        ...

    def get_messages(self) -> list[dict]:
        """The messages as plain dicts, which can be changed without changing the conversation."""
        ...

    def before(self, turn: Reply, skip: int=...) -> list[dict]:
        """The system message and the messages of the turns before this one, as plain dicts."""
        ...

    def __len__(self) -> int:
        ...

    def __getitem__(self, index: int | slice) -> dict | list[dict]:
        ...

    def __iter__(self):
        ...

    def __eq__(self, other) -> bool:
        ...

    @classmethod
    def from_messages(cls, messages: list[dict]) -> ChatMessages:
        """A conversation with the given messages; raises `MessageError` for what no conversation can hold."""
        ...

    def __copy__(self) -> ChatMessages:
        ...

    def tree(self) -> Tree:
        """All turns that can be had again; those of one branch one under the other."""
        ...

    def __repr__(self):
        ...

    def id_of(self, turn: Reply | None) -> str:
        """The name under which a turn is known outside: the same wherever the same was said before it."""
        ...

class Tree(list):
    """The turns of a conversation, also those that were taken back. Its text shows which one follows which."""
    depths: Any
    tip: Any

    def __init__(self, turns, depths, tip):
        ...

    def __repr__(self):
        ...

def said(message: Message) -> str:
    """What a message says, and what it asks for, as one text."""
    ...
