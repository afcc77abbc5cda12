from __future__ import annotations
from typing import Any
from collections.abc import Callable
from dataclasses import dataclass
from llama_nbchat.local.calls import CallFormat
from llama_nbchat.local.sandbox import TemplateFault

__all__ = ['call_format']

@dataclass
class _Trial:
    """What a template makes of the conversations that it is tried with. All of it raises `TemplateFault`."""
    write: Callable
    as_text: bool = ...

    def answered(self, message, **more):
        ...

    def said(self):
        ...

    def region(self, calls):
        ...

    def follows(self, calls):
        """The same conversation with a result for each call; nothing, if there can be none."""
        ...

    def keeps(self, text):
        """Whether a text in an earlier answer stays as it is."""
        ...

def call_format(write: Callable, source: str=...) -> CallFormat:
    """How calls are written in a template: learned, from the table, or as an own prompt asks for it."""
    ...
