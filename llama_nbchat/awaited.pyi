from __future__ import annotations
from typing import Any
from collections.abc import AsyncIterator
from llama_nbchat.errors import Advises
from llama_nbchat.exclusive import Worker

__all__ = []

class _Line:
    """Who has a place at a chat or a model, and who waits for one."""
    of: Any
    taken: Any
    waiting: Any

    def __init__(self, of):
        ...

class _Reader(Worker):
    """Reads an answer in a thread, for somebody who awaits it in an event loop."""
    deltas: Any
    places: Any
    piecewise: Any
    context: Any
    loop: Any
    news: Any
    asked: Any
    pieces: Any
    error: Any
    ended: Any

    def __init__(self, deltas, places, piecewise):
        ...

    def run(self):
        ...

    def look_around(self):
        """Keeps the event loop from sleeping until there is news: only when awake it notices a notebook's stop button."""
        ...

    async def piece(self) -> str | None:
        """The next piece of the answer, when it is there. Raises what the model has raised."""
        ...

    async def end(self):
        """Stops the model, if it is still writing, and waits a second at most until it has."""
        ...

class _AwaitedPieces(Advises, AsyncIterator):
    """The pieces of an answer, as they come, for `async for`."""

    def __init__(self, pieces):
        ...

    def __anext__(self):
        ...

    async def aclose(self):
        """Stops the model. What was read stays in the conversation."""
        ...
