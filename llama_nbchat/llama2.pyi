from __future__ import annotations
from typing import Any
from llama_nbchat.reply import Reply

__all__ = ['Llama2ChatVersion2']

class Llama2ChatVersion2:
    """A chat with the names of the article."""
    model_response: Any

    def __init__(self, llm: Any, system_message: str):
        ...

    def prompt_llama2(self, user_prompt: str) -> Reply:
        """Sends a prompt and shows the answer when it is complete."""
        ...

    def prompt_llama2_stream(self, user_prompt: str) -> Reply:
        """Sends a prompt and shows the answer while it is written."""
        ...
