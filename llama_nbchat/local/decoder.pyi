from __future__ import annotations
from typing import Any
from functools import cache
from llama_nbchat.errors import GenerationError
from llama_nbchat.errors import ParameterError

__all__ = ['Decoder']

class Decoder:
    """A `llama_cpp.Llama`, one step at a time."""
    llm: Any
    lib: Any
    life: Any
    context: Any
    vocabulary: Any
    memory: Any
    n_ctx: Any
    n_batch: Any
    trimmable: Any
    tokens: Any
    ending: Any
    made_up: Any
    adds_space: Any

    def __init__(self, llm: Any):
        ...

    def check(self):
        """Raises `ModelTypeError` if the model is not there any more, or is another process's."""
        ...

    def tokenize(self, text: str, special: bool=..., add_bos: bool=..., begins: bool=...) -> list[int]:
        """The tokens of a text."""
        ...

    def piece(self, token: int) -> bytes:
        """The text of one token, in UTF-8."""
        ...

    def ends(self, token) -> bool:
        """Whether the token ends a turn."""
        ...

    def learn_ends(self, end: str) -> list[str]:
        """Finds out which tokens end a turn besides those that llama.cpp knows."""
        ...

    def control_names(self, written: str | None | None=...) -> list[str]:
        """The names of all control tokens: texts that the tokenizer would take for more than text. The longest first."""
        ...

    def evaluate(self, tokens: list[int]):
        """Adds tokens to the KV cache, unless it is given up. Raises `GenerationError` if llama.cpp can't."""
        ...

    def trim(self, n: int):
        """Forgets all tokens but the first `n`, or all of them where only that is possible."""
        ...

    def let_go(self):
        """Makes llama.cpp ask nobody any more whether to give up."""
        ...

    def evaluate_watched(self, tokens):
        """Like `evaluate`; an exception raised by a signal handler, such as `KeyboardInterrupt`, ends it on the way."""
        ...

    def is_ours(self) -> bool:
        """Whether nobody else has used the model since this decoder has."""
        ...

    def begin(self):
        """Finds out whether somebody else has used the model meanwhile; if so, the KV cache is not ours any more."""
        ...

    def size(self) -> int:
        """How many bytes `save` would give."""
        ...

    def save(self) -> bytes:
        """The KV cache, of this model and these settings."""
        ...

    def restore(self, tokens: list[int], state: bytes) -> bool:
        """Puts a saved KV cache in the place of the present one."""
        ...

    def restore_from_outside(self, tokens: list[int], state: bytes) -> bool:
        """Like `restore`, for a state that need not be one."""
        ...

    def sampler(self, seed: int, settings, mask=..., free=...):
        """How to choose tokens. Raises `ParameterError` for settings that llama.cpp does not take."""
        ...

    def tokenize_marked(self, text, marked, begins=...) -> list[int]:
        """The tokens of a rendered text; the names that are `marked` in it are only text."""
        ...
