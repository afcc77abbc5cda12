"A conversation as turns: what comes in from elsewhere, what is taken back and had again, who else sees an answer grow."
import copy
import itertools
import json
import random

import pytest

from llama_nbchat import (Chat, ChatError, ChatMessages, ChatModel, Delta, MessageError, MessageTypeError, Message, ParameterError,
    Reply, ScriptedModel, Usage, load)
from llama_nbchat.document import document_of

HARMONY = "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>Four."
GEMMA = "<|channel>thought\nTwo and two.<channel|>Four."


@pytest.fixture(autouse=True)
def quiet(monkeypatch, capsys): monkeypatch.setattr(Chat, "footer", False)


class Numbers(ChatModel):
    "Counts on, and can go on with a number that was cut; each answer is another one."
    can = frozenset({"resume"})
    def __init__(self): self.next, self.requests = itertools.count(1), []

    def stream(self, messages, **params):
        self.requests.append(messages)
        yield Delta(f"{next(self.next)}")
        yield Delta("!", finish_reason=params.get("ends", "stop"))


def texts(chat): return [message["content"] for message in chat.messages]


# Reasoning, wherever it comes from

@pytest.mark.parametrize("written", [HARMONY, HARMONY + "<|return|>", GEMMA, GEMMA + "<|channel>thought\n<channel|>", "<thought>Two and two.</thought>Four.",
    "<think>\nTwo and two.\n</think>\n\nFour.", "Two and two.</think>Four.", "Two and two.\n</think>\n\nFour.", "[THINK]Two and two.[/THINK]Four."])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_reasoning_however_it_is_written(written, size):
    pieces = [written[n:n + size] for n in range(0, len(written), size)]
    class Own(ChatModel):
        def stream(self, messages, **params): return map(Delta, pieces)
    for model in (ScriptedModel(pieces), Own()):
        chat = Chat(model)
        reply = chat("What is 2 + 2?")
        assert (reply.text, reply.reasoning.strip()) == ("Four.", "Two and two.")
        assert chat.messages[-1] == {"role": "assistant", "content": "Four.", "reasoning": "Two and two."}


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_of_a_server(name):
    "It is none of the answer, and not sent back: some servers refuse what they have sent themselves."
    chat = Chat(ScriptedModel([{"choices": [{"delta": {name: piece}}]} for piece in ("Two ", "and two.")] + ["Four."]))
    reply = chat("What is 2 + 2?")
    assert (reply.text, reply.reasoning) == ("Four.", "Two and two.")
    chat("And 3?")
    assert chat.model.llm.requests[-1]["messages"][:2] == [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "Four."}]


def test_a_mark_that_somebody_asked_about():
    for text in ("Write <think> first, then </think>.", "The tag `</think>` ends it.", "```\n</think>\n```"):
        assert Chat(ScriptedModel(text)).prompt("How?").text == text


# From elsewhere

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}
OLLAMA = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "", "thinking": "Add.", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2, "b": 2}}}]},
    {"role": "tool", "tool_name": "add", "content": "4"}, {"role": "assistant", "content": "Four."}]
OPENAI = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": [], "audio": None, "function_call": None},
    {"role": "tool", "tool_call_id": "c1", "content": "4"}, {"role": "assistant", "content": "Four.", "refusal": None}]


@pytest.mark.parametrize("given", [OLLAMA, OPENAI])
def test_messages_of_other_programs(given):
    messages = ChatMessages.from_messages(given)
    assert len(messages.turns) == 1 and messages.tip.prompt == "2 + 2?" and messages.tip.text == "Four."
    call, = messages.tip.steps[0].tool_calls
    assert json.loads(call["function"]["arguments"]) == {"a": 2, "b": 2} and messages.tip.steps[1].tool_call_id == call["id"] != ""
    again = ChatMessages.from_messages(json.loads(json.dumps(messages.get_messages())))
    assert again == messages and again.get_messages() == messages.get_messages()


@pytest.mark.parametrize("wrong, where", [
    ([{"role": "user", "content": "x"}, {"role": "tool", "content": "4"}], "Message 2, of the role 'tool'"),
    ([*OPENAI[:4], OPENAI[3]], "Message 5, of the role 'tool'"),
    ([{"role": "user", "content": "x"}, {"role": "system", "content": "x"}], "Message 2, of the role 'system'"),
    ([{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}], "Message 2, of the role 'robot'"),
    ([{"role": "user", "content": "x"}, 5], "Message 2"), ([{"role": "user", "content": 5}], "Message 1, of the role 'user'"),
    ([{"role": "user", "content": "x", "mood": "good"}], "mood"), ([{"role": "user"}], "content"), ([{"role": "user", "content": [{"text": "x"}]}], "Message 1"),
    ([{"role": "assistant", "content": "", "tool_calls": [{"function": {}}]}], "function with a name")])
def test_what_no_conversation_can_hold(wrong, where):
    with pytest.raises((MessageError, MessageTypeError), match=where): ChatMessages.from_messages(wrong)
    chat = Chat(ScriptedModel())
    with pytest.raises(ChatError, match=where): chat.messages = wrong
    assert len(chat.messages) == 0


def test_parts_are_sent_as_they_are():
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    chat = Chat(ScriptedModel("A dot."))
    chat(parts)
    assert chat.model.llm.requests[-1]["messages"] == [{"role": "user", "content": parts}] and chat.last.prompt == parts
    assert "1 image" in repr(chat.messages) and int(chat.context)
    chat([{"type": "text", "text": "One"}, {"type": "text", "text": "two"}])
    assert chat.last.prompt == "One\ntwo"


def test_a_local_model_says_that_it_can_not_see():
    chat = Chat(load(), temperature=0)
    with pytest.raises(MessageError, match="can't see images"): chat([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}])
    assert len(chat.messages) == 0 and chat.prompt([{"type": "text", "text": "Only the gas giants"}]).text


def test_a_conversation_that_was_kept_can_be_gone_on_with():
    model = load()
    chat = Chat(model, temperature=0)
    whole = chat.prompt("Name the planets").text
    chat.retry(max_tokens=9)
    later = Chat(model, temperature=0)
    later.messages = json.loads(json.dumps(chat.messages.get_messages()))
    assert later.last.text == chat.last.text != whole
    assert later.resume() is later.last and later.last.text == whole and later.last.usage.evaluated_tokens <= 1


# Taken back, and had again

def test_all_that_was_said_can_be_had_again():
    "Any order of asking, taking back and going elsewhere: the path is what a list would be, and each turn is still there."
    draw = random.Random(4)
    for _ in range(60):
        chat, path, said = Chat(Numbers()), [], []
        for step in range(12):
            action = draw.choice(["ask", "ask", "retry", "edit", "undo", "go", "clear"])
            if action in ("ask", "edit") or path and action == "retry":
                if action == "ask" or not path: chat.prompt(f"q{step}")
                elif action == "edit": chat.edit(f"q{step}")
                else: chat.retry()
                if action != "ask" and path: path = path[:-1]
                path = [*path, chat.last]
                said.append((path, texts(chat)))
            elif path and action == "undo":
                n = draw.randrange(1, len(path) + 1)
                chat.undo(n)
                path = path[:-n]
            elif action == "clear": chat.clear(); path = []
            elif said and action == "go":
                path, _ = draw.choice(said)
                assert chat.go(path[-1]) is path[-1]
            assert chat.messages.turns == path and chat.last is (path[-1] if path else None)
            assert texts(chat) == [text for turn in path for text in (turn.prompt, turn.text)]
        assert {id(turn) for turn in chat.tree()} == {id(turn) for turns, _ in said for turn in turns}
        for turns, then in said:
            chat.go(turns[-1])
            assert texts(chat) == then


def test_the_tree_shows_where_the_conversation_is():
    chat = Chat(Numbers())
    for prompt in ("a", "b"): chat.prompt(prompt)
    chat.retry()
    lines = repr(chat.tree()).splitlines()
    assert [line[0] for line in lines] == [" ", " ", "*"] and "'b' → '3!'" in lines[2]
    assert repr(Chat(Numbers()).tree()) == "no turns yet"


def test_a_fork_shares_the_past_and_does_not_follow():
    chat = Chat(Numbers())
    chat.prompt("a")
    chat.prompt("b", ends="length")
    other = chat.fork()
    assert other.messages.turns[0] is chat.messages.turns[0] and other.messages == chat.messages
    assert chat.resume() is chat.last and chat.last.text == "2!3!" and other.last.text == "2!"
    other.resume()
    assert (chat.last.text, other.last.text) == ("2!3!", "2!4!")


def test_a_turn_is_committed_by_one_assignment():
    seen = []
    class Watched(ChatMessages):
        def __setattr__(self, name, value):
            if name == "tip" and value is not None: seen.append([message.role for message in value.messages])
            super().__setattr__(name, value)
    chat = Chat(Numbers())
    chat.messages = Watched()
    chat.prompt("a")
    chat.prompt("b")
    assert seen == 2 * [["user", "assistant"]]


# Watchers

def test_watchers_see_each_delta_and_the_end():
    seen = []
    chat = Chat(ScriptedModel("one two", ["three", KeyboardInterrupt()], [OSError("gone")]))
    chat.watchers.append(lambda reply, delta: seen.append((delta.text, reply.ended, reply is chat.messages.tip)))
    chat.prompt("Count")
    assert seen[-1] == ("", True, True) and [text for text, *_ in seen if text] == ["one", " two"]
    chat.prompt("Go on")
    assert seen[-1] == ("", True, True) and chat.last.interrupted
    with pytest.raises(ChatError): chat.prompt("Go on")
    assert seen[-1] == ("", True, False) and sum(ended for _, ended, _ in seen) == 3


def test_a_watcher_that_fails_costs_nobody_the_answer():
    chat = Chat(ScriptedModel("one two"))
    chat.watchers.append(lambda reply, delta: 1 / 0)
    with pytest.warns(UserWarning, match="ZeroDivisionError"): assert chat.prompt("Count").text == "one two"
    assert texts(chat) == ["Count", "one two"]


# Models

def test_a_model_needs_one_method():
    class Parrot(ChatModel):
        def stream(self, messages, **params): yield Delta(messages[-1]["content"])
    class Stranger:
        def stream(self, messages): yield Delta(messages[-1]["content"])
    for model in (Parrot(), Stranger()):
        chat = Chat(model)
        assert chat.model is model and chat.prompt("Hello").text == "Hello" and int(chat.context) > 0
        assert type(model).__name__ in repr(chat)
        with pytest.raises(ChatError, match="complete"): chat.resume()


def test_an_unknown_name_is_not_taken_in_silence():
    with pytest.raises(ParameterError, match="tools"): Chat(ScriptedModel()).prompt("Hello", tools=[print])
    with pytest.raises(ParameterError, match="Did you mean 'temperature'"): Chat(ScriptedModel(), temprature=0)
    with pytest.raises(ParameterError, match="Did you mean 'max_tokens'"): Chat(ScriptedModel()).prompt("Hello", max_token=4)


def test_replies_and_messages():
    assert Message.from_dict(Message("assistant", "Four.", "Two and two.").as_dict()) == Message("assistant", "Four.", "Two and two.")
    reply = Reply("q")
    for delta in (Delta("a", usage=Usage(3, 1, 1)), Delta("b")): reply.grow(delta)
    other = copy.copy(reply)
    other.grow(Delta("c"))
    assert (reply.text, other.text, reply.usage.evaluated_tokens) == ("ab", "abc", 2)


def test_a_copy_has_the_same_tree():
    "Whatever was left, and wherever the conversation stands: each turn once, and nothing shared that may change."
    draw = random.Random(5)
    for _ in range(60):
        chat = Chat(ScriptedModel(*(["a", "length"] if n % 3 else "b" for n in range(20))), footer=False)
        for n in range(draw.randint(1, 9)):
            do = draw.choice([chat.prompt, chat.prompt, chat.edit, chat.retry, chat.undo, chat.clear, chat.go])
            try: do(draw.choice(chat.tree())) if do == chat.go else do(f"{n}") if do in (chat.prompt, chat.edit) else do()
            except (ChatError, IndexError): pass
        other = chat.fork()
        assert repr(other.tree()) == repr(chat.tree())
        assert document_of(other.messages) == document_of(chat.messages)
        assert chat.messages.tip is None or other.messages.tip is not chat.messages.tip
        for turn in chat.tree(): assert turn is not other.messages.tip
