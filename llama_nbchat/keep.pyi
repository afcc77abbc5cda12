from __future__ import annotations
from typing import Any
import os
from llama_nbchat.errors import ConversationFileError

__all__ = []

def write_text(path: str | os.PathLike, text: str):
    """Writes a text as UTF-8 in one step. Raises `ConversationFileError`, and leaves what was there."""
    ...
