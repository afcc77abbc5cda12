from __future__ import annotations
from typing import Any
import time
from dataclasses import dataclass
from pathlib import Path
from llama_nbchat.errors import ParameterError
from llama_nbchat.local.cache import States
from llama_nbchat.local.cache import Transcripts
from llama_nbchat.local.cache import useful

__all__ = ['states_folder', 'StateFolder', 'KeptTranscripts', 'KeptStates']

def states_folder(given: Any) -> Path | None:
    """The folder for states that somebody has asked for. Raises `ParameterError`."""
    ...

@dataclass(frozen=True)
class _Kept:
    """What a file in the folder is about."""
    tokens: list[int]
    transcripts: tuple | list = ...

class StateFolder:
    """States in a folder: those of one model, among others."""
    path: Any
    budget: Any
    fingerprint: Any
    last: Any
    key: Any
    known: Any
    passed_over: Any
    waiting: Any
    writer: Any
    full: Any
    told: Any
    untold: Any
    lock: Any
    made: Any

    def __init__(self, path: Path, budget: int, fingerprint: dict, last: int):
        ...

    def tell(self):
        """Warns of what has gone wrong, once."""
        ...

    def look(self):
        """Takes note of the files that have come and gone."""
        ...

    def best(self, wanted: list[int], trimmable: bool, least: int, most: int) -> tuple | None:
        """The state that holds most of the wanted tokens; None if there is none."""
        ...

    def forget(self, tokens: list[int]):
        """Passes over a state that llama.cpp does not take."""
        ...

    def wants(self, tokens: list[int], trimmable: bool, at_end: bool) -> bool:
        """Whether the folder should have this state, since it holds too little of it."""
        ...

    def keep(self, tokens: list[int], transcripts: list[list], state: bytes, trimmable: bool, at_end: bool=...):
        """Writes a state, as soon as the one before it is written."""
        ...

    def wait(self, seconds: float):
        """Returns when all is written that was to be."""
        ...

    def make_room(self):
        """Removes the oldest files, until the others are within the budget."""
        ...

class KeptTranscripts(Transcripts):
    """Transcripts, with those of the states in a folder."""
    folder: Any
    learned: Any

    def __init__(self, names, folder):
        ...

    def longest(self, text):
        """How many characters of a text are known, and their tokens."""
        ...

class KeptStates(States):
    """States in memory, and others in a folder."""
    folder: Any
    transcripts: Any

    def __init__(self, budget, folder, transcripts):
        ...

    def best(self, wanted, trimmable, here=...):
        """How much of the wanted tokens the most useful one holds, and itself."""
        ...

    def add(self, tokens, state, trimmable):
        """Puts one aside."""
        ...

    def drop(self, useless):
        """Forgets one that can't be had back, in the folder, too."""
        ...

    def settle(self, decoder, at_end=...):
        """Keeps the conversation that the decoder holds, if it has grown enough."""
        ...

    def settle_all(self, trimmable, seconds):
        """Keeps what was put aside, the latest first, until the time is over."""
        ...
