"What is said to somebody who comes from another program, or who makes a mistake: what to write here."
import asyncio
import copy
import math
import os
import pickle
from pathlib import Path

import pytest

from llama_nbchat import Chat, ChatError, ChatMessages, GenerationError, MessageTypeError, ModelNotFoundError, ParameterError, ScriptedModel, load
from llama_nbchat.errors import UseError
from llama_nbchat.load import demo_path
from llama_nbchat.server import is_address


@pytest.fixture(scope="module")
def engine(): return load(n_ctx=256)


@pytest.fixture
def chat():
    chat = Chat(ScriptedModel("Hi there"))
    chat.prompt("Hello")
    return chat


def refused(call, kind=ChatError):
    with pytest.raises(kind) as error: call()
    assert not any(words in str(error.value) for words in ("argument 1", "ctypes", "Traceback", "object is not", "must be real", "1 turns", "1 messages", "1 tokens"))
    return str(error.value)


@pytest.mark.parametrize("name", ("llama3.2", "qwen3:4b", "meta-llama/Llama-3.2-1B-Instruct", "hf.co/x/Llama-3.2-GGUF", "mistral", "smollm3", "ollama:llama3.2", "gemma-3-4b-it",
    "gpt-4o", "claude-3-opus", "https://huggingface.co/x/y-GGUF", "deepseek-r1:7b", "TheBloke/Llama-2-7B-Chat-GGUF", "phi4"))
def test_names_of_models(name):
    for use in (load, Chat):
        said = refused(lambda: use(name), ModelNotFoundError)
        assert "GGUF file" in said and ("https://huggingface.co/" in said or "download it first" in said), said


def test_paths_keep_their_advice(tmp_path):
    (tmp_path/"planets.gguf").write_bytes(demo_path().read_bytes())
    assert f"Did you mean {str(tmp_path/'planets.gguf')!r}" in refused(lambda: load(tmp_path/"plants.gguf"), ModelNotFoundError)
    assert "huggingface" not in refused(lambda: load("modles/x.gguf"), ModelNotFoundError)
    assert "system_message='You are kind'" in refused(lambda: Chat("You are kind"), ModelNotFoundError)


@pytest.mark.parametrize("model, typed", (("model.gguf", "'model.gguf'"), (Path("a/model.gguf"), "'a/model.gguf'"), (str(demo_path()), repr(str(demo_path()))), (ScriptedModel(), "model")))
def test_swapped(model, typed):
    assert f"write Chat({typed}, 'You are kind')" in refused(lambda: Chat("You are kind", model))


PLACES = {"system_prompt": "Chat(..., system_message=", "system": "Chat(..., system_message=", "sp": "Chat(..., system_message=", "num_ctx": "load(n_ctx=", "context_length": "load(n_ctx=",
    "num_gpu": "load(n_gpu_layers=", "gpu_layers": "load(n_gpu_layers=", "num_thread": "load(n_threads=", "n_predict": "max_tokens=", "num_predict": "max_tokens=",
    "max_new_tokens": "max_tokens=", "max_completion_tokens": "max_tokens=", "repetition_penalty": "repeat_penalty=", "stop_sequences": "stop=", "temp": "temperature="}


@pytest.mark.parametrize("name", PLACES)
def test_names_of_parameters(name, engine):
    said = refused(lambda: Chat(**{name: "x"}), ParameterError)
    assert name in said and PLACES[name] in said
    right = PLACES[name].rpartition("(")[2].removeprefix("..., ").rstrip("=")
    for call in (lambda: load(**{name: "x"}), lambda: Chat(engine).prompt("Hello", **{name: "x"})):
        assert right in refused(call, ParameterError)


@pytest.mark.parametrize("prompt, advice", (([{"role": "user", "content": "Hi"}], "from_messages"), (ChatMessages(), "from_messages"), ({"role": "user", "content": "Hi"}, '["content"]'),
    (b"Hi", ".decode"), (Path("x"), "read_text"), (None, 'chat("Hello")'), (5, "str(...)"), (["a", "b"], "join")))
def test_prompts_that_are_no_text(chat, prompt, advice):
    assert advice in refused(lambda: chat.prompt(prompt), MessageTypeError) and len(chat.messages) == 2


def test_a_reply_as_prompt(chat): assert ".text" in refused(lambda: chat(chat.last), MessageTypeError)


NAMES = [("chat", "ask send generate invoke complete", 'chat("...")'), ("chat", "history conversation", "chat.messages"), ("chat", "reset", "chat.clear()"), ("chat", "regenerate", "chat.retry()"),
    ("chat", "copy branch", "chat.fork()"), ("chat", "temperature", "params"), ("chat", "n_ctx", "chat.model.n_ctx"), ("chat", "undoo", "undo"), ("messages", "append add", "append_user_message"),
    ("messages", "clear", "chat.clear()"), ("messages", "extend", "from_messages"), ("messages", "pop", "undo"), ("reply", "content message choices answer", "reply.text")]


@pytest.mark.parametrize("owner, name, advice", [(owner, name, advice) for owner, names, advice in NAMES for name in names.split()])
def test_names_of_other_programs(chat, owner, name, advice):
    thing = {"chat": chat, "messages": chat.messages, "reply": chat.last}[owner]
    assert advice in refused(lambda: getattr(thing, name), UseError) and not hasattr(thing, name)
    with pytest.raises(AttributeError): getattr(thing, name)


def test_what_does_not_work_on_them(chat):
    reply = chat.last
    async def wait(): await reply
    for use in (lambda: len(reply), lambda: reply[0], lambda: reply["choices"], lambda: reply + "x", lambda: list(reply), lambda: asyncio.run(wait())): assert "write" in refused(use)
    assert "fork()" in refused(lambda: copy.deepcopy(chat)) and "get_messages()" in refused(lambda: pickle.dumps(chat))


def test_what_works_on_them(chat):
    "Whatever looks at objects, whether there is a table of names or not."
    reply = chat.last
    assert bool(reply) and bool(chat) and {reply: 1}[reply] == 1 and reply == reply and str(reply) == "Hi there" and f"{reply}" == "Hi there"
    for thing in (chat, reply, chat.messages):
        assert not hasattr(thing, "_repr_png_") and not hasattr(thing, "__array__") and not hasattr(thing, "_ipython_canary_method_should_not_exist_")
        assert dir(thing) and repr(thing)
    for data in (reply, chat.messages):
        for other in (copy.deepcopy(data), copy.copy(data), pickle.loads(pickle.dumps(data))): assert str(other) == str(data) and other is not data
    other = copy.deepcopy(chat.messages)
    other.append_user_message("More")
    assert len(chat.messages) == 2 and len(copy.copy(chat).messages) == 2


class Odd:
    def __repr__(self): raise ZeroDivisionError("odd")


VALUES = [None, "x", b"x", 5, -5, 0, 1.5, -1.5, True, math.inf, -math.inf, math.nan, 10**400, -2**70, 1j, [], [5], [None], ["x"], {}, {"x": "y"}, {5: 1}, {"type": "x"}, {5: math.nan}, {5: 10**400}, {-1: 1}, {5: 1j},
    {"type": "json_object", "schema": 5}, Odd(), [Odd()], object, lambda *_: None, [lambda *_: None], [lambda tokens, scores: scores[:1]], "\ud83d", "\0"]


@pytest.mark.parametrize("name", sorted(load().parameters))
def test_values_of_parameters(engine, name):
    "Each works, or the error names the parameter in words of this package; and the next prompt works."
    for value in VALUES:
        chat = Chat(engine, max_tokens=2, temperature=0)
        try: chat.prompt("Hello", **{name: value})
        except (ParameterError, GenerationError) as error:
            assert name in str(error) or name == "grammar", (name, str(error))
            assert not any(words in str(error) for words in ("argument", "ctypes", "TypeError", "OverflowError", "ValueError", "'<' not supported")), str(error)
    assert Chat(engine, max_tokens=2, temperature=0).prompt("Hello").text


def test_an_error_in_an_overflow_function():
    class Small(ScriptedModel):
        name, n_ctx, parameters = "small", 4, None
        def stream(self, messages, **params): raise AssertionError("not asked")
        def count(self, messages): return 9
    with pytest.raises(GenerationError, match="overflow function") as failed: Chat(Small(), overflow=lambda messages, limit: 1 / 0).prompt("Hello")
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_one_is_one(chat):
    assert "1 turn." in refused(lambda: chat.undo(2)) or "1 turn " in refused(lambda: chat.undo(2))
    assert "1 message)" in repr(Chat(ScriptedModel(), "Be brief"))


@pytest.fixture
def bare(tmp_path, monkeypatch):
    "A home with one model of one's own, called smollm2-135m, and those that packages bring."
    for name in list(os.environ):
        if name.startswith(("LLAMA_", "HF_", "HUGGING", "XDG_", "OLLAMA", "LMSTUDIO", "JAN_", "LOCALAPP")): monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"): monkeypatch.setenv(name, str(tmp_path))
    (tmp_path/".cache/gpt4all").mkdir(parents=True)
    (tmp_path/".cache/gpt4all/smallest-135m.gguf").write_bytes(demo_path().read_bytes())
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ("smalest-135m", "smalest", "smallets-135m", "gpt4all:smalest", "smallest-136m"))
def test_a_name_that_is_nearly_right_goes_first(bare, name):
    for use in (load, Chat):
        said = refused(lambda: use(name), ModelNotFoundError)
        assert said == f"There is no file or model {name!r}. Did you mean load('smallest-135m')? models() shows what is on this machine.", said


def test_a_near_name_and_a_near_file(bare):
    Path("smallest-13m.gguf").write_bytes(b"")
    said = refused(lambda: load("smalest-13m"), ModelNotFoundError)
    assert "Did you mean load('smallest-135m') or the file 'smallest-13m.gguf'?" in said, said
    assert "Did you mean 'smallest-13m.gguf'?" in refused(lambda: load("./smallest-13"), ModelNotFoundError)


def test_a_family_that_is_not_here_can_be_had_elsewhere(bare):
    "The name may be right, though another one that is here is much like it."
    Path(".cache/gpt4all/smallest-135m.gguf").rename(".cache/gpt4all/qwen3-4b.gguf")
    said = refused(lambda: load("qwen3-8b"), ModelNotFoundError)
    assert "Did you mean load('qwen3-4b')?" in said and said.index("Did you mean") < said.index("https://huggingface.co/models?library=gguf&search=qwen3-8b"), said


@pytest.mark.parametrize("prefix", ("hf", "ollama", "lmstudio", "gpt4all", "jan", "llama.cpp"))
def test_a_prefix_is_no_part_of_a_name(bare, prefix):
    said = refused(lambda: load(f"{prefix}:uranus"), ModelNotFoundError)
    assert "&search=uranus," in said and f"search={prefix}" not in said, said


@pytest.mark.parametrize("name", ("gpu-box:8080", "gpu-box:80", "my_box:8000/v1", "box1:11434/v1/chat", "hub2:8080?x=1"))
def test_a_host_without_a_scheme(bare, name):
    said = refused(lambda: load(name), ModelNotFoundError)
    assert f"write its whole address: load('http://{name.partition('?')[0]}" in said and "huggingface" not in said, said


@pytest.mark.parametrize("name", ("qwen2.5:7", "llama3.1:70", "phi3.5:14", "qwen2.5-coder:32", "yi1.5:34", "deepseek-r1:14"))
def test_a_name_with_a_tag_is_no_address(bare, name):
    "As Ollama writes it; and it is found if it is there."
    said = refused(lambda: load(name), ModelNotFoundError)
    assert "Nothing answers" not in said and f"search={name.partition(':')[0]}" in said, said
    root = Path(".ollama/models")
    model, tag = name.split(":")
    for path, content in ((root/"blobs/sha256-ab12ab12", demo_path().read_bytes()), (root/"manifests/registry.ollama.ai/library"/model/tag,
            b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:ab12ab12"}]}')):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    for asked in (name, f"ollama:{name}", model): assert load(asked).llm.model_path.endswith("sha256-ab12ab12")


@pytest.mark.parametrize("address", ("localhost:8080", "127.0.0.1:11434/v1", "192.168.0.7:80", "gpu.example.com:8080", "[::1]:8080", "box.local:1234", "LOCALHOST:80", "ann:pw@localhost:80"))
def test_a_host_and_a_port_are_an_address(address): assert is_address(address)
