from __future__ import annotations
from typing import Any
from IPython.core.magic import Magics

__all__ = ['ChatMagics', 'load_ipython_extension']

class _Conversations(Magics):
    """Conversations and models by name."""
    chats: Any
    begun_with: Any
    files: Any
    current: Any
    latest: Any

    def __init__(self, shell):
        ...

    def model(self, source):
        """The model of a variable or of a file; without a source the one that was used last, or the demo model."""
        ...

    def named(self, name, model, system):
        """The conversation of this name, a new one if need be."""
        ...

    def described(self, name):
        ...

    def known(self, name):
        """The conversation of this name."""
        ...

class ChatMagics(_Conversations):
    """`%%chat` and `%chat`."""
    __signature__: Any

    def cell(self, line, cell):
        """Sends the cell as a prompt, and shows the answer while it is written."""
        ...

    def line(self, line):
        """Shows the conversation."""
        ...

def load_ipython_extension(ipython):
    """What `%load_ext llama_nbchat` calls. Loading it again keeps the conversations."""
    ...
