"Calls that were made: whatever keeps a conversation gives them back as they were, and whoever shows it shows them as their cell did."
import copy
import json
import pickle
import random

import pytest

from llama_nbchat import Call, Chat, ChatStore, ScriptedModel, Tools
from llama_nbchat.display import _call_html, _call_line
from llama_nbchat.document import conversation_of, document_of, talks_in
from llama_nbchat.exported import notebook_of
from llama_nbchat.local.calls import as_call
from llama_nbchat.markdown import safe_text
from tests.test_exported import words


@pytest.fixture(autouse=True)
def quiet(monkeypatch, capsys): monkeypatch.setattr(Chat, "footer", False)


def give(text:str, n:int=0): return text
def fail(text:str): raise ValueError(text)
def secret(text:str): return "not told"
def stop(text:str): raise KeyboardInterrupt


def one_call(chance):
    "Of a function, right or wrong; of one that there is not; with arguments that are no JSON, or none that fit."
    name = chance.choice(["give"] * 4 + ["fail", "secret", "stop", "moon"])
    arguments = chance.choice([{"text": words(chance)}] * 4 + [{"text": 7}, {}, '{"text": "a', "[1]", '{"text": "\\ud83e"}', "[" * 5000])
    return as_call(name, arguments, chance.choice(["", "a", "b"]))   # an id may be missing, and come twice


def calling(seed):
    "A chat with some turns in which functions were called, several at once and one after the other; some were stopped, or failed later."
    chance = random.Random(seed)
    chat = Chat(ScriptedModel(), tools=Tools([give, fail, secret, stop], confirm=lambda call: call.name != "secret", seconds=None, most=5000))
    for _ in range(chance.randint(1, 4)):
        rounds = [[*chance.choice([[], ["Let me look. "], ["<think>", words(chance), "</think>"]]), *(one_call(chance) for _ in range(chance.randint(1, 3)))]
            for _ in range(chance.randint(0, 3))]
        chat.model = ScriptedModel(*rounds, chance.choice([words(chance), words(chance), [RuntimeError("no more memory")]]))
        before = chance.random()
        try:
            if before < 0.2 and len(chat.messages.turns): chat.undo()
            if before > 0.8 and len(chat.messages.turns): chat.retry()
            else: chat.prompt(words(chance) + "?")
        except Exception as error: assert "no more memory" in str(error)
    return chat


def calls(messages): return [(turn.prompt, turn.made, turn.wanted, turn.interrupted, turn.error) for turn in messages.tree()]


WAYS = {**{kind: lambda chat, folder, kind=kind: (chat.export(folder/f"talk.{kind}"), Chat.load(folder/f"talk.{kind}", ScriptedModel()))[1].messages for kind in ("html", "md", "ipynb")},
    "json": lambda chat, folder: (chat.save(folder/"talk.json"), Chat.load(folder/"talk.json", ScriptedModel()))[1].messages,
    "store": lambda chat, folder: [ChatStore(folder/"chats.db").attach(chat), ChatStore(folder/"chats.db").open(1, ScriptedModel())][1].messages,
    "fork": lambda chat, folder: chat.fork().messages,
    "copy": lambda chat, folder: copy.copy(chat.messages),
    "pickle": lambda chat, folder: pickle.loads(pickle.dumps(chat.messages))}


def same(kept, had):
    "Equal, but for the order of branches."
    return sorted(map(repr, kept)) == sorted(map(repr, had)) and all(turn in had for turn in kept)


@pytest.mark.parametrize("way", WAYS)
def test_they_are_what_they_were(tmp_path, way):
    kinds = set()
    for seed in range(20):
        chat = calling(seed)
        folder = tmp_path/str(seed)
        folder.mkdir()
        again = WAYS[way](chat, folder)
        assert again == chat.messages and same(calls(again), calls(chat.messages)), seed
        made = [call for turn in chat.tree() for call in turn.made]
        assert all(isinstance(call, Call) for turn in again.tree() for call in turn.made)
        kinds |= {call.error if call.error == "stopped" else "refused" if call.refused else "failed" if call.error else "worked" for call in made}
    assert kinds == {"stopped", "refused", "failed", "worked"}


def test_a_notebook_has_them_in_its_outputs():
    for seed in range(30):
        messages = calling(seed).messages
        if not messages.turns: continue
        kept, = talks_in(json.loads(json.dumps(notebook_of(messages, document_of(messages), "x"))))
        assert [(turn.made, turn.text) for turn in kept.turns] == [(turn.made, turn.text) for turn in messages.turns], seed
        assert kept == messages, seed


def test_nothing_of_them_is_kept_twice():
    "What the messages say is not said again beside them."
    for seed in range(30):
        for turn in document_of(calling(seed).messages)["turns"]:
            texts = [message["content"] for message in turn["messages"] if message["role"] == "tool"]
            for about in turn.get("calls", []):
                assert not about.keys() - {"seconds", "error", "refused"}
                assert about.get("error") in (None, True, "stopped") or f"Error: {about['error']}" not in texts


def test_they_are_shown_as_their_cell_did(tmp_path):
    for seed in range(15):
        chat = calling(seed)
        made = [call for turn in chat.messages.turns for call in turn.made]
        for name in ("talk.html", "talk.md", "talk.ipynb"): chat.export(tmp_path/name)
        page, text = (tmp_path/"talk.html").read_text(), (tmp_path/"talk.md").read_text()
        outputs = "".join(output["data"]["text/markdown"] for cell in json.loads((tmp_path/"talk.ipynb").read_text())["cells"] for output in cell.get("outputs", []))
        for call in made:
            assert _call_html(call) in chat._repr_html_() and _call_html(call) in page and _call_html(call) in outputs, seed
            assert f"<summary>{safe_text(_call_line(call))}</summary>" in text, seed
        for shown in (page, outputs): assert shown.count("<summary>") >= len(made) and "<summary>Result" not in shown
        assert "### tool" not in text


def test_files_of_before_open_as_before():
    "There is a call and its result, of which nobody knows more."
    for seed in range(30):
        messages = calling(seed).messages
        document = document_of(messages)
        for turn in document["turns"]: turn.pop("calls", None)
        again = conversation_of(document)
        assert again == messages and not any(turn.made for turn in again.tree())
        assert document_of(again) == document


def test_calls_of_elsewhere_are_nobodys():
    chat = calling(1)
    again = Chat.from_messages(chat.messages.get_messages(), ScriptedModel())
    assert again.messages == chat.messages and not any(turn.made for turn in again.messages.turns)


def test_a_turn_that_is_gone_on_with_has_made_the_later_calls():
    "The first ones were made by somebody unknown."
    first = [{"role": "user", "content": "Both?"}, {"role": "assistant", "content": "", "tool_calls": [as_call("give", {"text": "a"}, "1")]},
        {"role": "tool", "content": "a", "tool_call_id": "1"}, {"role": "assistant", "content": "Now "}]
    chat = Chat.from_messages(first, ScriptedModel([as_call("give", {"text": "b"}, "2")], "b."), tools=[give])
    if "resume" not in chat.model.can: chat.model.can = frozenset({"resume", "tools"})
    chat.resume()
    assert [call.result for call in chat.last.made] == ["b"]
    again = conversation_of(document_of(chat.messages))
    assert calls(again) == calls(chat.messages)
    assert [len(made) for _, made in again.tip.with_calls] == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("results, kept", [(1, 1), (2, 1), (2, 2), (2, 3), (0, 1)])
def test_a_stranger_keeps_too_few_or_too_many(tmp_path, results, kept):
    "What does not fit together is shown as it stands in the messages."
    wanted = [as_call("give", {"text": name}, name) for name in "ab"]
    given = [{"role": "tool", "content": f"result {name}", "tool_call_id": name} for name in "ab"][:results]
    turn = {"before": None, "messages": [{"role": "user", "content": "Both?"}, {"role": "assistant", "content": "", "tool_calls": wanted}, *given], "calls": [{"seconds": 1}] * kept}
    document = {"format": "llama_nbchat conversation", "version": 1, "turns": [turn], "tip": 0, "left": []}
    chat = Chat.from_messages(document, ScriptedModel())
    fits = results == kept == 2
    assert [len(made) for _, made in chat.messages.tip.with_calls] == ([0, 2] if fits else [0] * (2 + results))
    for name in ("talk.html", "talk.md", "talk.ipynb"):
        chat.export(tmp_path/name)
        assert ("1.0 s" in (tmp_path/name).read_text().replace("&#46;", ".")) is fits
