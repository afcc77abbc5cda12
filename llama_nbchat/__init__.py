"A light-weight chat with local llama models in Jupyter notebooks."
__version__ = "0.1.0"

from llama_nbchat.errors import *
from llama_nbchat.messages import *
from llama_nbchat.reply import *
from llama_nbchat.conversation import *
from llama_nbchat.document import *
from llama_nbchat.markdown import *
from llama_nbchat.rewritten import *
from llama_nbchat.stop import *
from llama_nbchat.exclusive import *
from llama_nbchat.model import *
from llama_nbchat.reasoning import *
from llama_nbchat.completion import *
from llama_nbchat.scripted import *
from llama_nbchat.server import *
from llama_nbchat.browser import *
from llama_nbchat.local.gguf import *
from llama_nbchat.local.sandbox import *
from llama_nbchat.local.saved import *
from llama_nbchat.local.template import *
from llama_nbchat.local.engine import *
from llama_nbchat.local.states import *
from llama_nbchat.local.kept import *
from llama_nbchat.local.opening import *
from llama_nbchat.found import *
from llama_nbchat.load import *
from llama_nbchat.context import *
from llama_nbchat.places import *
from llama_nbchat.display import *
from llama_nbchat.notes import *
from llama_nbchat.tools import *
from llama_nbchat.chat import *
from llama_nbchat.history import *
from llama_nbchat.view import *
from llama_nbchat.awaited import *
from llama_nbchat.keep import *
from llama_nbchat.structured import *
from llama_nbchat.exported import *
from llama_nbchat.store import *
from llama_nbchat.llama2 import *

def load_ipython_extension(ipython):
    "What `%load_ext llama_nbchat` calls."
    from llama_nbchat.magics import load_ipython_extension
    load_ipython_extension(ipython)

# What `from llama_nbchat import *` brings: what a chat needs, the contract for models of one's own, and the errors.
__all__ = [
    "Chat", "Reply", "Message", "Usage", "Timings", "ChatMessages", "ChatStore", "Llama2ChatVersion2",
    "load", "models", "view", "Context", "ChatModel", "Engine", "CompletionModel", "ServerModel", "ScriptedModel",
    "Delta", "Call",
    "ChatError", "ModelNotFoundError", "ModelFileError", "ModelTypeError", "MessageError", "MessageTypeError",
    "ParameterError", "ContextOverflowError", "GenerationError", "StateError", "ConversationFileError",
    "NotInstalledError", "ToolError", "UseError",
]
