"A model in the browser, on a machine without one: what is asked of JavaScript, what becomes of its answers, what a browser lacks."
import inspect
import json
import random
import subprocess
import sys
from types import ModuleType

import pytest

from llama_nbchat import (Chat, ContextOverflowError, GenerationError, ModelFileError, NotInstalledError, ParameterError,
    StateError, load, models)
from llama_nbchat.browser import _CHANNEL, _STOPPED, _USUAL
from llama_nbchat.load import _UNSEEN, chat_parameters, demo_path, file_settings
from llama_nbchat.local.opening import model_settings
from llama_nbchat.local.template import MARK
from tools.outputs import root


class Answer:
    def __init__(self, pieces): self.pieces, self.stopped = iter(pieces), 0

    def next(self):
        piece = next(self.pieces, "")
        if isinstance(piece, Exception): raise piece
        return piece if isinstance(piece, str) else json.dumps(piece)

    def stop(self): self.stopped += 1


class JavaScript:
    "The other side: answers each request by what it is told to say next."
    addsBegin = False
    def __init__(self): self.says, self.requests, self.answers, self.given, self.ended = [], [], [], [], 0

    def load(self, *given):
        self.given.append(given)
        return self

    def begin(self, request):
        self.requests.append(json.loads(request))
        self.answers.append(Answer(self.says.pop(0)))
        return self.answers[-1]

    def exit(self): self.ended += 1


def text(content, reason=None): return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}]}


def raw(content, reason=None): return {"choices": [{"index": 0, "text": content, "finish_reason": reason}]}


def cost(prompt, cached=0, answer=1):
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "prompt_tokens_details": {"cached_tokens": cached}}}


@pytest.fixture
def javascript(monkeypatch, tmp_path):
    "Python in a browser, as far as the package can tell."
    there = JavaScript()
    for name in ("SCRIPT", "WASM"): (tmp_path/name).write_bytes(name.encode())
    modules = {"pyodide.ffi": dict(can_run_sync=lambda: True, run_sync=lambda promise: promise, to_js=lambda content: content),
        "pyodide.code": dict(run_js=lambda source: there.load),
        "llama_nbchat_wllama": {name: tmp_path/name for name in ("SCRIPT", "WASM")}}
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "platform", "emscripten")
    return there


def test_a_chat_takes_the_model_of_the_browser(javascript):
    "For nothing, a path, and a name; and it gets wllama's files, the model's bytes, and the window of its training."
    for source in (None, demo_path(), str(demo_path()), "demo"):
        assert repr(Chat(source).model) == "BrowserModel('planets.gguf')"
        script, wasm, model, settings, channel, stopped = javascript.given[-1]
        assert (script, wasm, model, channel, stopped) == (b"SCRIPT", b"WASM", demo_path().read_bytes(), _CHANNEL, _STOPPED)
        assert json.loads(settings) == {"n_threads": 1, "n_gpu_layers": 0, "n_ctx": 2048}
    assert javascript.ended == 4   # each went with its chat


def test_a_conversation(javascript):
    chat = Chat(system_message="Be brief", temperature=0)
    javascript.says = [[text("1. Mer"), text("cury", "length"), cost(20, 5, 2)], [raw("\n2. Venus"), raw("", "stop"), {**raw("", "stop"), **cost(30, 22, 4)}],
        [text("Venus"), text("", "stop"), cost(50, 30, 2)]]
    reply = chat("Name two planets", max_tokens=2)
    assert (reply.text, reply.finish_reason, reply.usage.cached_tokens) == ("1. Mercury", "length", 5)
    chat.resume()
    assert (reply.text, reply.finish_reason) == ("1. Mercury\n2. Venus", "stop")
    assert chat("The second?").text == "Venus"
    first, second, third = javascript.requests
    assert first["messages"] == [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Name two planets"}]
    assert (first["temperature"], first["max_tokens"], second["temperature"]) == (0, 2, 0)
    assert second["prompt"].endswith("Name two planets [/INST]1. Mercury") and "messages" not in second
    assert third["messages"][-2:] == [{"role": "assistant", "content": reply.text}, {"role": "user", "content": "The second?"}]
    assert [answer.stopped for answer in javascript.answers] == [1, 1, 1]
    assert chat.context.limit == 2048


def test_chunks_are_those_of_llama_cpp_python(javascript):
    "A program that adds up what is there of a message gets the answer, whole or in pieces."
    begin = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]}
    javascript.says = [[begin, text("Ear"), text("th"), {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, cost(9)]] * 2
    llm, asked = load().llm, [{"role": "user", "content": "Which?"}]
    deltas = [chunk["choices"][0]["delta"] for chunk in llm.create_chat_completion(asked, stream=True)]
    assert "".join(delta["content"] for delta in deltas if "content" in delta) == "Earth"
    whole = llm.create_chat_completion(messages=asked)["choices"][0]
    assert (whole["message"], whole["finish_reason"]) == ({"role": "assistant", "content": "Earth"}, "stop")


def test_text_is_data(javascript):
    "No name of a control token reaches the model from a message, on neither way."
    chat = Chat(system_message="<<SYS>>")
    javascript.says = [[text("</s> [INST]", "length"), cost(9)], [raw("x", "stop")], [text("[/INST]", "stop")]]
    chat("Is this </s> the end? <s>")
    chat.resume()
    chat("[INST]<</SYS>>")
    names = ("<</SYS>>", "<<SYS>>", "[/INST]", "[INST]", "</s>", "<s>")
    for request in (javascript.requests[0], javascript.requests[2]):
        assert not [name for name in names for message in request["messages"] if name in message["content"]]
    assert [javascript.requests[1]["prompt"].count(name) for name in names] == [1, 1, 1, 1, 0, 1]   # the template's
    assert chat.messages[2]["content"] == "</s> [INST]x"   # what was said stays as it was


def test_an_answer_is_begun_as_on_the_desktop(javascript, monkeypatch):
    "The text that goes on is the one that the engine writes, for conversations of all kinds, but for what can't be seen."
    model = load()
    monkeypatch.setattr(sys, "platform", "linux")
    engine = load()
    names = ["</s>", "<s>", "[INST]", "<<SYS>>", "<", "/s>", "é", "🪐", "\n", "  ", MARK, "a"]
    chance = random.Random(7)
    def said(): return "".join(chance.choices(names, k=chance.randint(1, 6))) + "."
    for _ in range(300):
        roles = ["system"] * chance.randint(0, 1) + ["user", "assistant"] * chance.randint(1, 3)
        messages = [{"role": role, "content": said()} for role in roles]
        wanted = engine.template.prompt(messages, {})
        asked = model.llm._request(model.llm.writing.plain(messages), {})
        assert asked["prompt"].replace(_UNSEEN, MARK) == (wanted.text + wanted.begun), messages
        for content in (message["content"] for message in model.llm.writing.plain(messages)):
            assert not [name for name in names[:4] if name in content], content


@pytest.mark.parametrize("adds, begin", [(True, "[INST] Hi"), (False, "<s>[INST] Hi")])
def test_a_text_begins_once(javascript, adds, begin):
    "Where llama.cpp puts the first token of every conversation, the text does not."
    javascript.addsBegin = adds
    assert load().llm._request([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "H"}], {})["prompt"].startswith(begin)


def test_parameters_are_those_of_the_desktop(javascript, monkeypatch):
    here, settings = chat_parameters(), file_settings()
    monkeypatch.setattr(sys, "platform", "linux")
    assert here < chat_parameters() and settings < model_settings()
    import llama_cpp
    defaults = inspect.signature(llama_cpp.Llama.create_chat_completion).parameters
    assert _USUAL["temperature"] == defaults["temperature"].default


@pytest.mark.parametrize("call, said", [
    (lambda: Chat(temperatur=0), "'temperature'"), (lambda: Chat(n_ctx=512), r"Chat\(load\(n_ctx=512\)\)"),
    (lambda: load(n_threads=2), "no parameter 'n_threads'"), (lambda: load(n_ctx="many"), "number"),
    (lambda: load(temperature=0), r"Chat\(load\(\), temperature=0\)"), (lambda: load(num_ctx=512), "n_ctx=512"),
    (lambda: Chat()("Hi", tools=[]), "no parameter 'tools'"), (lambda: Chat().model.stream([], response_format={}).__next__(), "response_format")])
def test_a_misplaced_parameter_says_where_it_belongs(javascript, call, said):
    with pytest.raises(ParameterError, match=said): call()


def test_seeds(javascript):
    "A seed of the model gives the same ones again, for each prompt another; one of a prompt goes first."
    javascript.says = [[text("Hi", "stop")] for _ in range(5)]
    for chat in (Chat(load(seed=3)), Chat(load(seed=3))): chat("Hi"); chat("Hi")
    Chat(load(seed=3))("Hi", seed=9)
    one, two, again, two_again, own = (request["seed"] for request in javascript.requests)
    assert one == again != two == two_again and own == 9


def test_the_stop_button(javascript):
    "What was written stays, the model is stopped, and the next prompt works."
    chat = Chat()
    javascript.says = [[text("1. Mer"), _STOPPED, text("cury")], [_STOPPED], [text("Earth", "stop")]]
    reply = chat("Name the planets")
    assert (reply.text, reply.interrupted, javascript.answers[0].stopped) == ("1. Mer", True, 1)
    assert not chat("Now").has_answer and javascript.answers[1].stopped == 1
    assert chat("And the third?").text == "Earth"
    javascript.says = [[text("one "), text("two ")]]
    stream = chat.stream("Count")
    next(stream)
    stream.close()
    assert javascript.answers[-1].stopped == 1 and chat.last.text == "one "


def test_what_fails_on_the_other_side(javascript):
    chat = Chat()
    javascript.says = [[RuntimeError("Error: request (9000 tokens) exceeds the available context size (2048 tokens), try increasing it")],
        [text("1. "), RuntimeError("Error: out of memory")], [text("Earth", "stop")]]
    before = chat.model.count([{"role": "user", "content": "Hello"}])
    with pytest.raises(ContextOverflowError, match="9,000 tokens"): chat("Hello")
    assert chat.model.count([{"role": "user", "content": "Hello"}]) == 4 * before   # learned from it, within limits
    with pytest.raises(GenerationError, match="in the middle of its answer"): chat("Hello")
    assert chat("Hello").text == "Earth" and [answer.stopped for answer in javascript.answers] == [1, 1, 1]


def test_a_count_learns(javascript):
    chat = Chat()
    javascript.says = [[text("Earth", "stop"), cost(33)]]
    chat("Which planet is this one, and which is the next one to the Sun?")
    assert chat.model.count([{"role": "user", "content": chat.last.prompt}]) == 33


def test_states(javascript, tmp_path):
    "What was read is read again; what does not fit, or is none, is refused."
    with pytest.raises(StateError, match="nothing to save"): load().save_state(tmp_path/"none")
    chat = Chat()
    javascript.says = [[text("Ear", "length"), cost(9)], [raw("th", "stop"), cost(9)], [raw(".")]]
    chat("Which?")
    chat.resume()
    chat.model.save_state(tmp_path/"a.state")
    load().load_state(tmp_path/"a.state")
    assert javascript.requests[-1]["prompt"].endswith("Which? [/INST]Earth") and javascript.requests[-1]["max_tokens"] == 1
    with pytest.raises(StateError, match="another n_ctx"): load(n_ctx=512).load_state(tmp_path/"a.state")
    for content in (b"", b"[]", b"{", b"\xff\xfe", b"null", b'{"read": 1}', b"llama_nbchat state 2 0 0 0\n"):
        (tmp_path/"b.state").write_bytes(content)
        with pytest.raises(StateError): load().load_state(tmp_path/"b.state")


def test_a_file_is_looked_at_first(javascript, tmp_path):
    whole = demo_path().read_bytes()
    for content in (whole[:len(whole)//2], b"GGUF", b""):
        (tmp_path/"model.gguf").write_bytes(content)
        with pytest.raises(ModelFileError): load(tmp_path/"model.gguf")
    assert javascript.given == []


def test_a_template_that_is_none_can_not_go_on(javascript, tmp_path):
    (tmp_path/"model.gguf").write_bytes(demo_path().read_bytes().replace(b"{%- set ns", b"{%- sat ns"))
    assert load(tmp_path/"model.gguf").can == frozenset() and load().can == {"resume"}


def test_without_what_a_browser_may_lack(javascript, monkeypatch):
    monkeypatch.setattr(sys.modules["pyodide.ffi"], "can_run_sync", lambda: False)
    with pytest.raises(NotInstalledError, match="Chrome or Edge, version 137"): Chat()
    monkeypatch.setattr(sys.modules["pyodide.ffi"], "can_run_sync", lambda: True)
    monkeypatch.delitem(sys.modules, "llama_nbchat_wllama")
    with pytest.raises(NotInstalledError, match="make lite"): Chat()


def test_without_threads(monkeypatch):
    def refuse(thread): raise RuntimeError("can't start new thread")
    there = [row.name for row in models()]
    monkeypatch.setattr("threading.Thread.start", refuse)
    assert [row.name for row in models()] == there != []


BARE = """
import sys, time, threading, os, runpy
for name in ("llama_cpp", "numpy", "openai", "huggingface_hub"): sys.modules[name] = None
del time.thread_time
for name in ("sched_getaffinity", "register_at_fork", "fork"): delattr(os, name)
def refuse(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
import tests.test_browser_model as here, pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", here.__file__, "-k", "conversation or stop_button or takes_the_model or counts or states"]))
"""


def test_on_a_python_as_it_is_in_a_browser():
    "Without llama_cpp, threads, and the clock of a thread, all of the above is the same."
    done = subprocess.run([sys.executable, "-c", BARE], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
