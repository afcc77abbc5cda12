from __future__ import annotations
from typing import Any
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from llama_nbchat.conversation import ChatMessages
from llama_nbchat.messages import Message
from llama_nbchat.reply import Delta
from llama_nbchat.reply import Reply

__all__ = ['GrowingText', 'Screen', 'NotebookScreen', 'TextScreen', 'open_screen', 'with_font_size', 'conversation', 'answer_data', 'called', 'ended_early', 'loading', 'shell']

def shell() -> Any:
    """The shell in which this code runs, if it runs in one."""
    ...

def display(*things, **options) -> Any:
    """The same as IPython's."""
    ...

class Screen(Protocol):
    """Shows one text that grows."""
    interval: float

    def wait(self, done: int=..., total: int=...):
        """Shows that the text has not begun yet."""
        ...

    def show(self, text: str, reasoning: str=...):
        """Shows the text so far."""
        ...

    def close(self, text: str, reasoning: str=..., note: str=...):
        """Shows the finished text."""
        ...

class GrowingText:
    """Sees a reply grow, and shows its text from time to time."""
    screen: Any
    clock: Any
    shown_at: Any
    cost: Any
    answers: Any
    calls: Any
    failure: Any

    def __init__(self, screen: Screen, clock=...):
        ...

    def tell(self, **about):
        """Sets attributes of the screen, if it can have them."""
        ...

    def __call__(self, reply: Reply, delta: Delta):
        """Shows the text if the last time is long enough ago; before its first piece, how far the model is."""
        ...

    def wait(self, done: int=..., total: int=...):
        """Shows how far the model is before its first piece."""
        ...

    def wait_for(self, before: int) -> bool:
        """Shows how many answers are waited for."""
        ...

    def close(self, reply: Reply, note: str=...):
        """Shows the finished text, and the note, if there is any of them."""
        ...

    def called(self, reply: Reply, call: Any, anew: Callable):
        """Shows a call."""
        ...

class _CallLine:
    """Shows a call, and later its result in the same place."""
    output: Any
    call: Any

    def __init__(self):
        ...

    def __call__(self, call):
        ...

    def end(self, made):
        """Shows how a call has ended that was left alone."""
        ...

def with_font_size(text: str, font_size: int=...) -> str:
    """The text in an element that sets its font size."""
    ...

class _Layout:
    """Which part of a growing text is shown in which output: where each part begins, and with what besides the text."""
    parts: Any
    next: Any

    def __init__(self):
        ...

    def sources(self, text):
        """The Markdown of each part."""
        ...

    def cut(self, text):
        """The layout in which the finished part of the last output has moved up, to the one before."""
        ...

    def moved_up(self, text):
        """The layout in which no output is too long for its place."""
        ...

class NotebookScreen:
    """The outputs of a notebook cell for one text."""
    speaker: Any
    noted: Any
    font_size: Any
    interval: Any
    images: Any
    clock: Any
    layout: Any
    sources: Any
    outputs: Any
    begin: Any
    before: Any
    sent: Any
    light: Any
    spent: Any

    def __init__(self, font_size: int=..., interval: float=..., images: bool=..., clock=...):
        ...

    def show(self, text: str, reasoning: str=...):
        """Shows the text so far, if that does not cost too much: the first time as new outputs, then in their place."""
        ...

    def close(self, text: str, reasoning: str=..., note: str=...):
        """Shows the finished text as one output; what is left of the others is empty."""
        ...

    def wait(self, done: int=..., total: int=...):
        """Shows a bar, or, where there is not much to read, only dots."""
        ...

    def wait_for(self, before: int) -> bool:
        """Shows how many answers are waited for."""
        ...

def answer_data(speaker: str, said: list[tuple[Message, list]], note: str=..., font_size: int=..., images: bool=...) -> dict:
    """An answer in the forms in which a notebook shows it: what is sent for it, and what is kept in the file."""
    ...

class TextScreen:
    """Standard output, or another text file."""
    interval: Any
    prints: Any
    file: Any
    shown: Any
    thought: Any
    waits: Any
    turns: Any
    end: Any
    code: Any

    def __init__(self, file: Any | None=...):
        ...

    def wait(self, done: int=..., total: int=...):
        """In a terminal, says what is waited for."""
        ...

    def wait_for(self, before: int) -> bool:
        """In a terminal, says how many answers are waited for."""
        ...

    def show(self, text: str, reasoning: str=...):
        """Writes what the text has grown by; what the file can't encode, as a question mark."""
        ...

    def close(self, text: str, reasoning: str=..., note: str=...):
        """Writes the rest, and ends the line."""
        ...

def open_screen(font_size: int=..., live: bool=..., images: bool=...) -> Screen:
    """The best screen there is where this code runs."""
    ...

@contextmanager
def loading(name: str, clock=...) -> Iterator[Callable]:
    """Shows how much of a model is loaded, in a notebook and in a terminal, until it is there."""
    ...

class _Bar:
    """A line that says how much is done, and goes away at the end."""
    name: Any
    clock: Any
    output: Any
    written: Any
    next: Any

    def __init__(self, name, clock):
        ...

    def __call__(self, done):
        ...

    def close(self):
        """Leaves nothing behind."""
        ...

def called(name: str) -> str:
    """The name of a model for its readers."""
    ...

def ended_early(turn: Reply) -> str:
    """How an answer ended that is not complete; nothing for one that is, or if nobody knows."""
    ...

def conversation(messages: ChatMessages, images: bool=..., speaker: str=..., font_size: int=..., whole: bool=...) -> str:
    """HTML that shows a conversation, and does nothing else."""
    ...
