from __future__ import annotations
from typing import Any
from collections.abc import Collection
from collections.abc import Iterable

__all__ = ['ChatError', 'ModelNotFoundError', 'ModelFileError', 'ModelTypeError', 'MessageError', 'MessageTypeError', 'ParameterError', 'ContextOverflowError', 'GenerationError', 'StateError', 'ConversationFileError', 'NotInstalledError', 'ToolError', 'UseError', 'check_parameters', 'name_here', 'clipped', 'counted', 'in_bytes', 'shown', 'Advises', 'printable', 'made_printable']

def printable(text: str) -> str:
    """The text without what a terminal would obey: control characters other than the end of a line and a tab."""
    ...

class ChatError(Exception):
    """The base of every error of this package."""

    def __init__(self, message: str, /, **details):
        ...

def made_printable(error: BaseException) -> BaseException:
    """The error, and those that led to it, with texts that are `printable`."""
    ...

class ModelNotFoundError(ChatError, FileNotFoundError):
    """There is no model file at `path`."""
    ...

class ModelFileError(ChatError, ValueError):
    """The file at `path` is there, but it is not a model that can be loaded."""
    ...

class ModelTypeError(ChatError, TypeError):
    """What was given is not a model."""
    ...

class MessageTypeError(ChatError, TypeError):
    """A message whose content is not a `str`."""
    ...

class MessageError(ChatError, ValueError):
    """A message that does not fit into the conversation, such as a second system message, or an empty prompt."""
    ...

class ParameterError(ChatError, TypeError):
    """A parameter called `name` that the model does not have; `nearest` is the known one most like it, or None."""
    ...

class ContextOverflowError(ChatError, ValueError):
    """A conversation of `prompt_tokens` tokens does not fit into the context window of `n_ctx` tokens."""
    ...

class GenerationError(ChatError, RuntimeError):
    """The model failed while it was answering; its own exception is the `__cause__`."""
    ...

class StateError(ChatError, ValueError):
    """The file at `path` holds no state that this model could go on from."""
    ...

class ConversationFileError(ChatError, ValueError):
    """The file at `path` holds no conversation, or can't be written."""
    ...

class NotInstalledError(ChatError, ImportError):
    """A package that this needs, called `name`, is not installed, or not for this machine."""
    ...

class ToolError(ChatError, TypeError):
    """A function, called `name`, that can't be a tool; or arguments that it does not take."""
    ...

def clipped(text: str, width: int=...) -> str:
    """The beginning of a text, in one line."""
    ...

def counted(number: int, noun: str) -> str:
    """The number and the noun, which gets an s unless there is one alone."""
    ...

def in_bytes(n: int) -> str:
    """A size as people say it, such as "2.5 GB"."""
    ...

def shown(value, width: int=...) -> str:
    """The value as it would be typed, in one line; its type if it can't be shown."""
    ...

def name_here(name: str) -> str | None:
    """What a parameter of another program is called here; None if no other program is known to have it."""
    ...

def check_parameters(names: Iterable[str], known: Collection[str] | None, owner: str):
    """Raises `ParameterError` for the first of `names` that is not `known`, or misspelt, with the nearest one that is."""
    ...

class UseError(ChatError, AttributeError, TypeError):
    """An object was used like one of another program, by a `name` or an operation that it does not have."""
    ...

class Advises:
    """An object that says what to write, when it is used like one of another program."""
    ...
