from __future__ import annotations
from typing import Any
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ['StopButton', 'uninterrupted']

class StopButton:
    """Holds interrupts back. The first one is raised at once while `armed`; what came else is known as `pressed`."""

    def __enter__(self):
        ...

    def __exit__(self, *error):
        ...

@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets an interrupt take effect only after the block."""
    ...
