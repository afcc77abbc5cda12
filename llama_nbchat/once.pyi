from __future__ import annotations
from typing import Any
from llama_nbchat.reply import Reply

__all__ = ['cell_number', 'cell_run', 'cells_in_order', 'mark_as_shown']

def cell_number() -> int | None:
    """The number of the cell that runs now."""
    ...

def cell_run(in_task: bool=...) -> tuple:
    """The id of the notebook's cell that runs now, and that of its run."""
    ...

def cells_in_order() -> list[str]:
    """The ids of the cells of this notebook, from top to bottom, as they were when it was saved last."""
    ...

def mark_as_shown(reply: Reply):
    """Keeps an answer from being shown a second time by the cell, the line or the `print` that has shown it."""
    ...
