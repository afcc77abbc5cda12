from __future__ import annotations
from typing import Any
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from pathlib import Path
from llama_nbchat.chat import Chat
from llama_nbchat.conversation import Tree
from llama_nbchat.database import Database
from llama_nbchat.errors import ChatError
from llama_nbchat.errors import ConversationFileError
from llama_nbchat.model import ChatModel

__all__ = ['ChatStore', 'KeptChat', 'KeptChats']

class ChatStore(Database):
    """A file that keeps conversations as they happen."""

    def __init__(self, path: str | Path):
        ...

    def attach(self, chat: Chat):
        """Keeps the chat from now on."""
        ...

    def chats(self) -> KeptChats:
        """All conversations, the one that was changed last first."""
        ...

    def search(self, words: str) -> KeptChats:
        """The conversations in which something was said, or thought, also on branches that were left."""
        ...

    def open(self, id: int | KeptChat, model: Any | None=..., **options) -> Chat:
        """A chat that goes on with a conversation, and is kept. Raises `ChatError` or `ModelNotFoundError`."""
        ...

    def tree(self, id: int | KeptChat) -> Tree:
        """All turns of a conversation, also those that were taken back."""
        ...

    def export(self, id: int | KeptChat, path: str | Path, **options):
        """Writes a conversation to a file of its own. No model is loaded for it."""
        ...

    def forget(self, what: 'int|KeptChat|KeptChats|str' | None=..., *, before: date | str | None=...) -> int:
        """Forgets conversations for good. Raises `ConversationFileError` if another program keeps it from cleaning up."""
        ...

class _Keeper:
    """Keeps one chat in a store, as a watcher."""
    store: Any
    chat: Any
    known: Any
    news: Any
    answer: Any

    def __init__(self, store, chat, known=...):
        ...

    def __call__(self, reply, delta):
        ...

    def moved(self):
        """The conversation has another tip, or an answer more."""
        ...

    def for_chat(self, chat):
        ...

    def written(self, messages, news, answer, number, took):
        """What was taken from it is in the file now."""
        ...

    def stop(self):
        """Keeps nothing any more."""
        ...

@dataclass(frozen=True)
class KeptChat:
    """A conversation in a store."""
    id: int
    title: str
    turns: int
    model: str
    changed: datetime
    said: str = ...
    store: ChatStore = ...

    def open(self, model: Any | None=..., **options) -> Chat:
        """A chat that goes on with this conversation, and is kept."""
        ...

class KeptChats(Sequence):
    """Conversations of a store, as a table."""
    store: Any
    rows: Any
    if_none: Any

    def __init__(self, store: ChatStore, rows: list[tuple], if_none: str=...):
        ...

    def __len__(self) -> int:
        ...

    def __getitem__(self, index: int | slice) -> KeptChat:
        ...

    def __repr__(self):
        ...

class _Absent(ChatModel):
    """A model that is known by its name alone."""
    name: Any

    def __init__(self, name):
        ...
