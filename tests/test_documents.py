"Any document: it becomes a sound chat, or a clear error says why not, whatever somebody has changed in it."
import copy
import json
import math
import random
import sys
import warnings

import pytest

from llama_nbchat import Chat, ChatError, ChatMessages, ChatModel, ConversationFileError, Delta, ModelNotFoundError, ScriptedModel
from llama_nbchat.document import document_of


class Windowed(ChatModel):
    "A model with a small window, which counts words."
    def __init__(self, n_ctx=12, name="windowed"): self.n_ctx,self.name,self.seen = n_ctx,name,None
    def count(self, messages): return sum(len(message["content"].split()) for message in messages)
    def stream(self, messages, **params):
        self.seen = messages
        yield Delta("one two", finish_reason="stop")


def nested(levels, inner=0):
    for n in range(levels): inner = {"a": inner} if n % 2 else [inner]
    return inner


def whole():
    "A document in which everything occurs."
    chat = Chat(ScriptedModel("one", ["<think>Hm</think>", "two"], "three", "four"), "Be brief", temperature=0.5)
    for ask in (lambda: chat.prompt("a"), lambda: chat.prompt("b"), chat.retry, lambda: chat.edit("c")): ask()
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    image = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png,x"}}]
    messages = ChatMessages.from_messages([*chat.messages, {"role": "user", "content": image}, {"role": "assistant", "content": "", "reasoning": "r", "tool_calls": [call]},
        {"role": "tool", "content": "5", "tool_call_id": "1"}, {"role": "assistant", "content": "done"}])
    messages.left = [*chat.messages.left, chat.messages.tip]
    document = document_of(messages, model="scripted", params={"temperature": 0.5}, state=True)
    document["turns"][-1].update(calls=[{"seconds": 0.25, "error": "late", "refused": True}], interrupted=True, written=[{"reasoning": "a"}, {"text": "b"}], sent=[{"role": "user", "content": "a"}], left_out=1,
        usage={"prompt_tokens": 3, "cached_tokens": 1}, timings={"total": 2.0})
    return document


NAMES = """arguments before calls cell content data error format function id images instead_of left left_out llm messages name params of refused role rerun seconds self sent state stop stream system
    system_message text tip tool_call_id tool_calls tools values written""".split()
VALUES = [None, True, False, 0, 1, 2, -1, 2**53, 2**52, 10**400, 1.5, math.nan, math.inf, "", "a", "\0", "\ud800", "\x1b[2J", "/etc/passwd", "http://localhost:1/", "x" * 10_000,
    [], [[]], {}, [1], ["a"], [{}], {"role": "user"}, {"type": "text", "text": "x"}, [{"role": "user", "content": "h"}], [{"text": 1}], [{"text": "q", "reasoning": "w"}],
    [{"type": "image_url", "image_url": nested(120)}], *map(nested, (20, 120, 300, 450))]


def places(value, path=()):
    if len(path) < 8: yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner if len(path) < 8 else (): yield from places(item, (*path, name))


def at(value, path):
    for name in path: value = value[name]
    return value


def mutant(document, draw):
    "The document with one to three changes."
    document = json.loads(document)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        where = draw.choice([path for path in places(document) if path])
        parent, name = at(document, where[:-1]), where[-1]
        how = draw.randrange(5)
        if how == 0: parent[name] = json.loads(json.dumps(at(document, draw.choice(list(places(document))))))
        elif how == 1: del parent[name]
        elif how == 2 and isinstance(parent, dict): parent[draw.choice(NAMES)] = draw.choice(VALUES)
        elif how == 3 and isinstance(parent[name], int): parent[name] = draw.randint(-2, 8)
        else: parent[name] = draw.choice(VALUES)
        document = json.loads(json.dumps(document))
    return document


def use(chat, folder):
    "All that can be done with a conversation; what is impossible is refused."
    repr(chat.messages), chat._repr_html_(), repr(chat.tree()), chat.fork(), [repr(turn.calls) for turn in chat.tree()]
    for name in ("a.md", "a.html", "a.ipynb"): chat.export(folder/name)
    for do in (lambda: chat.prompt("next"), chat.resume, chat.retry, lambda: chat.edit("other"), lambda: chat.go(chat.tree()[0]), chat.undo):
        try: do()
        except ChatError: pass
    chat.save(folder/"again.json")
    again = Chat.load(folder/"again.json", ScriptedModel("x")).messages
    assert again == chat.messages and [turn.made for turn in again.tree()] == [turn.made for turn in chat.tree()]


@pytest.mark.parametrize("seed", range(4))
def test_what_somebody_has_changed(seed, tmp_path, capsys):
    draw = random.Random(seed)
    document = json.dumps(whole())
    ends = {}
    for _ in range(150):
        changed = mutant(document, draw)
        (tmp_path/"talk.json").write_text(json.dumps(changed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try: chat = Chat.load(tmp_path/"talk.json", ScriptedModel(*map(str, range(9))), footer=False)
            except ConversationFileError as error:
                assert len(str(error)) < 1000
                ends["refused"] = ends.get("refused", 0) + 1
                continue
            use(chat, tmp_path)
            ends["taken"] = ends.get("taken", 0) + 1
    assert min(ends.values()) > 10   # both occur


def test_what_somebody_has_changed_in_a_notebook(tmp_path, capsys):
    draw = random.Random(9)
    Chat.from_messages(whole(), ScriptedModel("x")).export(tmp_path/"whole.ipynb")
    notebook = json.loads((tmp_path/"whole.ipynb").read_text())
    noted = [output["metadata"]["llama_nbchat"] for cell in notebook["cells"] for output in cell.get("outputs", [])]
    notebook["cells"][-1]["outputs"].append({"metadata": {"llama_nbchat": {"tip": noted[-1]["id"], "of": noted[0]["id"]}}})
    text = json.dumps(notebook)
    ends = {"taken": 0, "refused": 0}
    for _ in range(150):
        (tmp_path/"talk.ipynb").write_text(json.dumps(mutant(text, draw)))
        try: chat = Chat.from_notebook(tmp_path/"talk.ipynb", ScriptedModel(*map(str, range(9))), footer=False)
        except ConversationFileError: ends["refused"] += 1
        else:
            use(chat, tmp_path)
            ends["taken"] += 1
    assert min(ends.values()) > 5


def test_turns_in_the_place_of_one_another(tmp_path):
    "Nobody looks for the first one of them for ever."
    document = whole()
    draw = random.Random(1)
    numbers = range(len(document["turns"]))
    ends = set()
    for _ in range(100):
        changed = copy.deepcopy(document)
        for turn in changed["turns"]: turn["instead_of"] = draw.choice([None, None, *numbers])
        (tmp_path/"talk.json").write_text(json.dumps(changed))
        try: chat = Chat.load(tmp_path/"talk.json", ScriptedModel("x"))
        except ConversationFileError: ends.add("refused")
        else:
            ends.add("taken")
            for turn in chat.tree():
                for _ in numbers: turn = turn and turn.instead_of
                assert turn is None
    assert ends == {"refused", "taken"}


@pytest.mark.parametrize("line", ["<!--llama_nbchat {", '<script type="application/json" id="llama_nbchat">{', "<!--llama_nbchat {}", "{", "[", '{"a":'])
def test_a_file_of_beginnings(tmp_path, line):
    (tmp_path/"talk.md").write_text(line * 100_000)
    with pytest.raises(ConversationFileError): Chat.load(tmp_path/"talk.md", ScriptedModel("x"))


@pytest.mark.parametrize("levels", [99, 101, 150, 400, 900])
def test_deep_texts(tmp_path, levels):
    "What can be opened can be shown and saved, however little room there is on the stack."
    image = [{"type": "image_url", "image_url": nested(levels - 1)}]
    sys.setrecursionlimit(5000)
    try: (tmp_path/"talk.json").write_text(json.dumps([{"role": "user", "content": image}]))
    finally: sys.setrecursionlimit(1000)
    if levels > 100:
        with pytest.raises(ConversationFileError, match="more than 100|no conversation"): Chat.load(tmp_path/"talk.json", ScriptedModel("x"))
    else:
        chat = Chat.load(tmp_path/"talk.json", ScriptedModel("x"))
        def deeper(n): return deeper(n - 1) if n else chat.save(tmp_path/"again.json")
        deeper(500)


def test_a_long_notebook_is_read_once(tmp_path, monkeypatch):
    "And not as often as it has turns."
    chat = Chat.from_messages([{"role": role, "content": f"{role} {n}"} for n in range(50) for role in ("user", "assistant")], ScriptedModel("x"))
    chat.export(tmp_path/"talk.ipynb")
    asked = []
    original = ChatMessages.__len__
    monkeypatch.setattr(ChatMessages, "__len__", lambda messages: asked.append(messages) or original(messages))
    again = Chat.from_notebook(tmp_path/"talk.ipynb", ScriptedModel("x"))
    assert not asked and again.messages == chat.messages


@pytest.mark.parametrize("name", ["/etc/passwd", "http://localhost:1/", "hf:owner/name", "../model.gguf", "m" * 100_000, None, 7, ["a"], {}])
def test_no_model_is_loaded_from_where_a_file_says(tmp_path, name):
    (tmp_path/"talk.json").write_text(json.dumps({**whole(), "model": name}))
    with pytest.raises(ModelNotFoundError) as error: Chat.load(tmp_path/"talk.json")
    assert len(str(error.value)) < 500 + len(str(tmp_path)) * 2


def test_another_model_leaves_out_what_does_not_fit_into_it(tmp_path, capsys):
    "And not what did not fit into the last one."
    chat = Chat(Windowed(), footer=False)
    for n in range(8): chat.prompt(f"number {n}")
    assert chat.last.left_out
    chat.save(tmp_path/"talk.json")
    for goes_on in (lambda model: Chat.load(tmp_path/"talk.json", model), lambda model: (setattr(chat, "model", model), chat)[1]):
        for window in (None, 10_000):
            model = Windowed(window, "another")
            other = goes_on(model)
            other.prompt("next")
            assert (other.last.left_out, len(model.seen)) == (0, len(other.messages) - 1)
            other.undo()
    again = Chat.load(tmp_path/"talk.json", Windowed())
    again.prompt("next")
    assert again.last.left_out >= chat.last.left_out


@pytest.mark.parametrize("left_out", [1, 7, 8, 9, 2**52])
def test_more_turns_are_left_out_than_there_are(tmp_path, left_out, capsys):
    chat = Chat(Windowed(), footer=False)
    chat.prompt("a")
    chat.prompt("b")
    chat.save(tmp_path/"talk.json")
    document = json.loads((tmp_path/"talk.json").read_text())
    document["turns"][-1]["left_out"] = left_out
    (tmp_path/"talk.json").write_text(json.dumps(document))
    again = Chat.load(tmp_path/"talk.json", Windowed())
    again.prompt("c")
    assert again.last.left_out <= 2
