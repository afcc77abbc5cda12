from __future__ import annotations
from typing import Any
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from llama_nbchat.context import Context
from llama_nbchat.display import conversation
from llama_nbchat.errors import Advises
from llama_nbchat.errors import ChatError
from llama_nbchat.errors import GenerationError
from llama_nbchat.errors import MessageError
from llama_nbchat.errors import MessageTypeError
from llama_nbchat.errors import ParameterError
from llama_nbchat.load import load
from llama_nbchat.model import can
from llama_nbchat.model import window
from llama_nbchat.reply import Reply
from collections.abc import AsyncIterator
from llama_nbchat.conversation import Tree
from llama_nbchat.errors import ConversationFileError
from llama_nbchat.errors import ModelNotFoundError
from llama_nbchat.errors import StateError
from llama_nbchat.structured import Choice
from llama_nbchat.structured import Quoted
import os

__all__ = ['Chat']

class Chat(Advises):
    """One conversation with a model."""
    footer: Any
    images: Any
    messages: Any
    params: Any
    model: Any
    overflow: Any
    font_size: Any
    rerun: Any
    tools: Any
    max_calls: Any
    store: Any
    watchers: Any

    def __init__(self, llm: Any | None=..., system_message: str | None=..., *, font_size: int=..., overflow: str | Callable=..., footer: bool | None=..., images: bool | None=..., rerun: str=..., store: Any | None=..., tools: Iterable=..., max_calls: int=..., confirm: bool | Callable=..., **params):
        ...

    def __repr__(self):
        ...

    async def aprompt(self, text: str | list | None=..., **params) -> Reply:
        """Sends a prompt and waits for the answer, in an event loop. Cancelling stops the model. Raises a `ChatError`."""
        ...

    def astream(self, text: str | list | None=..., **params) -> AsyncIterator[str]:
        """Sends a prompt and gives the pieces of the answer as they come, for `async for`. Raises a `ChatError`."""
        ...

    @property
    def last(self) -> Reply | None:
        """The last reply: that of the last turn, or one that was begun after it and never came to an answer."""
        ...

    def stream(self, text: str | list | None=..., **params) -> Iterator[str]:
        """Sends a prompt and gives the pieces of the answer as they come. Raises a `ChatError` if there is no answer."""
        ...

    def prompt_stream(self, text: str | list | None=..., **params) -> Reply:
        """Sends a prompt and shows the answer while it is written. Raises a `ChatError` if the prompt can't be answered."""
        ...

    def prompt(self, text: str | list | None=..., **params) -> Reply:
        """Sends a prompt and shows the answer when it is complete. Raises a `ChatError` if the prompt can't be answered."""
        ...

    def __call__(self, text: str | list | None=..., **params) -> Reply:
        """The same as `prompt_stream`."""
        ...

    @property
    def context(self) -> Context:
        """How much of the context window the conversation takes, in tokens."""
        ...

    def export(self, path: str | os.PathLike, title: str | None=..., date: Any | None=...):
        """Writes the conversation for others; `Chat.load` opens it. Raises `ConversationFileError` if it can't be written."""
        ...

    def undo(self, n: int=...):
        """Takes back the last turns, prompt and answer. Raises `ChatError` if there are not so many."""
        ...

    def clear(self):
        """Takes back everything but the system message."""
        ...

    def retry(self, **params) -> Reply:
        """Asks the last prompt again. The new answer takes the place of the old one. Raises `ChatError` if there is none."""
        ...

    def edit(self, text: str | list | None=..., **params) -> Reply:
        """Asks something else in the place of the last prompt. Raises `ChatError` if there is none."""
        ...

    def tree(self) -> Tree:
        """All turns that were ever part of the conversation; a turn is found in it by its number, as `chat.tree()[2]`."""
        ...

    def go(self, turn: Reply) -> Reply:
        """Makes a turn the last one of the conversation. Raises `ChatError` for what is none of its turns."""
        ...

    def fork(self) -> Chat:
        """A new chat with the same past, independent from here on."""
        ...

    def resume(self, **params) -> Reply:
        """Goes on with an answer that was stopped or cut. Raises `ChatError` if there is nothing to go on with."""
        ...

    def save(self, path: str | os.PathLike, state: bool=...):
        """Writes the conversation as JSON. Raises `ConversationFileError` or `StateError` for what can't be written."""
        ...

    @classmethod
    def load(cls, path: str | os.PathLike, model: Any | None=..., **options) -> Chat:
        """A chat that goes on where a saved one was. Raises `ConversationFileError`, or `ModelNotFoundError`."""
        ...

    @classmethod
    def from_messages(cls, messages: Any, model: Any | None=..., **options) -> Chat:
        """A chat that goes on with these messages. Raises `MessageError` or `MessageTypeError` for what are none."""
        ...

    @classmethod
    def from_notebook(cls, path: str | os.PathLike, model: Any | None=..., number: int=..., **options) -> Chat:
        """A chat that goes on with a conversation in a notebook. Raises `ConversationFileError` if there is none."""
        ...

    def structured(self, prompt: str | list, schema: Any, **params) -> Any:
        """Asks, shows the answer, and gives it as an object. Raises `ParameterError` or `GenerationError` if there is none."""
        ...

    def choose(self, prompt: str | list, options: list[str], **params) -> Choice:
        """Asks a question with given answers, and shows the one that is chosen. Raises `ParameterError`."""
        ...

    def quote(self, text: str, prompt: str, **params) -> Quoted:
        """Asks about a text, and shows an answer that quotes from it. Raises `ParameterError` or `GenerationError`."""
        ...

class _Pieces(Advises, Iterator):
    """The pieces of an answer, as they come."""

    def __init__(self, pieces):
        ...

    def __next__(self):
        ...

    def close(self):
        """Stops the model. What was read stays in the conversation."""
        ...
