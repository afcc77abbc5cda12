from __future__ import annotations
from typing import Any
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from llama_nbchat.errors import ChatError
from llama_nbchat.errors import ModelTypeError

__all__ = ['Claim', 'Worker', 'pause_or_stop', 'in_turn', 'beside', 'queue_shown', 'working_time', 'life_of', 'check_usable', 'is_at_work', 'before_end']

class Claim:
    """An answer that is being written, or that waits until it can be: by a model, or in a chat."""
    number: Any
    alone: Any
    cell: Any
    answer: Any
    thread: Any
    process: Any

    def __init__(self, of: Any, alone: bool=..., cell: int | None | None=...):
        ...

    def taken_by(self, answer):
        """Notes the generator that writes the answer, and gives it back."""
        ...

    def begin(self):
        """Notes who goes on with it."""
        ...

    def ended(self):
        """Whether nothing more will come of it."""
        ...

    def running(self):
        """Whether its generator is at work just now."""
        ...

    def close(self):
        """Ends it, if that is still to be done; what has been written is left to the generator."""
        ...

def is_at_work(number: int) -> bool:
    """Whether an answer of this model is at work just now."""
    ...

class _Life:
    """How long a `llama_cpp.Llama` can be used: until it is closed, by the process that has seen it first."""
    number: Any
    process: Any
    guarded: Any
    closed: Any
    last: Any

    def __init__(self, model):
        ...

    def check(self, model):
        """Raises `ModelTypeError` if it can't be used any more, or not in this process."""
        ...

    def end(self, stack):
        """Stands on top of what a `Llama` does when it is closed; the rest is done when nobody is at work any more."""
        ...

    def free(self):
        """Frees what a closed `Llama` is made of, unless an answer is at work, which will do so when it ends."""
        ...

    def part(self):
        """Does what is to be done before the end, if this process may."""
        ...

def life_of(model: Any) -> _Life | None:
    """The life of a `Llama`, which begins when it is first seen here; None for everything else."""
    ...

def before_end(model: Any, call: Callable):
    """Has it called once, before the model is freed or the program ends."""
    ...

def check_usable(model: Any):
    """Raises `ModelTypeError` for a `Llama` that has been closed, or that was loaded before the process was forked."""
    ...

class Worker(threading.Thread):
    """A thread that reads an answer for somebody else. It ends with that answer, or soon after `stopped` is set."""
    stopped: Any

    def __init__(self, name: str):
        ...

def pause_or_stop(seconds: float):
    """Waits. Raises `KeyboardInterrupt` in a `Worker`, as soon as it is told to stop."""
    ...

class _Here(threading.local):
    """What is known of the waiting of a thread."""
    show: Any
    waited: Any

@contextmanager
def queue_shown(show: Callable) -> Iterator[None]:
    """Within the block, a turn of this thread that waits is shown, and not warned of."""
    ...

def working_time() -> float:
    """Seconds, by a clock of this thread that stands still while a turn waits."""
    ...

def in_turn(model: Any, deltas: Iterator, alone: bool=...) -> Iterator:
    """The same deltas, once no other turn uses `model`. Raises `ChatError` if this thread would wait for itself."""
    ...

def beside(model: Any, call: Callable) -> Any:
    """Calls it without waiting for a turn; until it returns, the model is not freed. Raises `ModelTypeError`."""
    ...
