from __future__ import annotations
from typing import Any
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from llama_nbchat.errors import Advises
from llama_nbchat.errors import MessageError
from llama_nbchat.errors import MessageTypeError
from llama_nbchat.messages import Message

__all__ = ['Usage', 'Timings', 'Delta', 'Call', 'Reply', 'arguments_of', 'figure']

def figure(value) -> int | None:
    """A number of tokens; None for what can be none."""
    ...

@dataclass(frozen=True)
class Usage:
    """What an answer cost, in tokens. A figure that the model does not tell, or that can't be right, is None."""
    prompt_tokens: int | None = ...
    cached_tokens: int | None = ...
    completion_tokens: int | None = ...

    def __post_init__(self):
        ...

    @property
    def evaluated_tokens(self) -> int | None:
        """How many prompt tokens the model had to evaluate: those not in its cache."""
        ...

@dataclass
class Timings:
    """How long the model worked on an answer, in seconds. What it does not tell, or what never happened, is None."""
    prefill: float | None = ...
    time_to_first_token: float | None = ...
    total: float | None = ...
    tokens_per_second: float | None = ...

@dataclass(frozen=True)
class Delta:
    """The next piece of an answer. Raises `MessageTypeError` if its text is none; what else can't be right is None."""
    text: str = ...
    finish_reason: str | None = ...
    usage: Usage | None = ...
    progress: tuple[int, int] | None = ...
    reasoning: str = ...
    tool_calls: tuple = ...
    rethought: bool = ...
    called: Any = ...
    thoughts_cut: int = ...

    def __post_init__(self):
        ...

@dataclass(frozen=True)
class Call:
    """A call of a function, and what it led to."""
    name: str
    arguments: Mapping
    result: str | None = ...
    seconds: float = ...
    error: str | None = ...
    refused: bool = ...
    id: str = ...

    def __str__(self):
        ...

    def __repr__(self):
        ...

def arguments_of(call: Mapping) -> dict:
    """The arguments of a call for those who read it, also if they are no JSON."""
    ...

class Reply(Advises):
    """A turn: a prompt, and the answer to it. It grows while the model writes; once it has ended, it stays as it is."""
    asked: Any
    before: Any
    instead_of: Any
    steps: Any
    made: Any
    finish_reason: Any
    interrupted: Any
    error: Any
    thoughts_cut: Any
    left_out: Any
    sent: Any
    asked_as: Any
    language: Any
    ended: Any
    model: Any
    params: Any
    cell: Any
    run: Any
    shown_in: Any
    usage: Usage

    def __init__(self, prompt: str | list | None | None=..., before: 'Reply|None' | None=...):
        ...

    def __str__(self):
        ...

    def __repr__(self):
        ...

    def as_dict(self) -> dict:
        """The turn as a dict that JSON can hold: its messages in OpenAI's form, and what else is known about it."""
        ...

    @classmethod
    def from_dict(cls, given: dict, before: 'Reply|None' | None=...) -> Reply:
        """The turn. Raises `MessageError` for what is none."""
        ...

    def __str__(self):
        ...

    @property
    def prompt(self) -> str | list | None:
        """What was asked."""
        ...

    @property
    def text(self) -> str:
        """The answer, or what there is of it."""
        ...

    @property
    def reasoning(self) -> str:
        """What the model said to itself before it answered."""
        ...

    @property
    def written(self) -> str:
        """What the model wrote, letter by letter: the answer, and the reasoning with the marks around it."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether the model has written anything, be it to itself."""
        ...

    @property
    def has_answer(self) -> bool:
        """Whether the model has said a word, or called a function."""
        ...

    @property
    def calls(self) -> tuple:
        """The calls that were made, each a `Call`; and those that the model wants to be made, in OpenAI's form."""
        ...

    @property
    def wanted(self) -> tuple:
        """The calls that the model waits for, in OpenAI's form."""
        ...

    @property
    def timings(self) -> Timings:
        """How long the model worked on it so far."""
        ...

    @property
    def messages(self) -> list[Message]:
        """The turn as messages: user, assistant; with functions user, assistant, tool, ..., assistant."""
        ...

    def as_dicts(self) -> list[dict]:
        """The turn as plain dicts, which can be changed without changing the turn."""
        ...

    def grow(self, delta: Delta, seconds: float=...) -> Delta:
        """Adds what the model has written."""
        ...

    def begin(self, way: Callable=...):
        """An answer is going to be written, or to go on."""
        ...

    def complete(self) -> Delta:
        """The model has nothing more to say."""
        ...

    def end(self):
        """Nothing more will come for now. It ends once; a second time changes nothing."""
        ...

    def step(self, made: list):
        """The calls that the model wants were made: what they gave is a part of the turn, and the answer is still to come."""
        ...

    @property
    def with_calls(self) -> list[tuple[Message, list[Call]]]:
        """The messages, each with the calls that were made for it, whose results are no messages of their own here."""
        ...

    @classmethod
    def of(cls, messages: list[Message], before: 'Reply|None' | None=...) -> Reply:
        """A turn that was had elsewhere; it can be gone on with, as far as anybody knows."""
        ...

    def __copy__(self):
        ...

class _AsTheyCome:
    """Takes nothing apart."""

    def delta(self, delta):
        ...

    def rest(self):
        ...
