"What is said is kept, and what is shown is true: stops, cuts, halves of characters, odd figures, odd orders."
import io
import json
import math
import random

import pytest

from llama_nbchat import (Chat, ChatError, ChatMessages, ContextOverflowError, Delta, GenerationError, MessageError,
    MessageTypeError, ModelTypeError, ParameterError, ScriptedModel, Usage, load)
from llama_nbchat.reasoning import REASONING, Apart
from llama_nbchat.display import TextScreen
from llama_nbchat.messages import alternating, whole_text
from llama_nbchat.completion import CompletionModel
from tests.test_chat import Resumable, said

STOP = KeyboardInterrupt()


class Terminal(io.StringIO):
    def isatty(self): return True


@pytest.fixture
def screen(monkeypatch):
    "A terminal that all answers are shown in."
    terminal = Terminal()
    def opened(font_size, live, images):
        text_screen = TextScreen(terminal)
        if not live: text_screen.interval = math.inf
        return text_screen
    monkeypatch.setattr("llama_nbchat.chat.open_screen", opened)
    Chat.footer = False
    yield terminal
    Chat.footer = True


def asked(chat): return chat.model.llm.requests[-1]["messages"]


# What was asked last

in_vain = {"stopped": [STOP], "failed": [OSError("gone")], "nothing": [], "blank": ["  ", "\n"],
           "thought": ["<think>Hm", "m"], "thought and stopped": ["<think>Hm", STOP], "thought to the end": ["<think>Hm</think>\n\n"]}


def ask_in_vain(chat, how, **options):
    try: return how(**options)
    except GenerationError: return None


@pytest.mark.parametrize("pieces", in_vain.values(), ids=in_vain)
@pytest.mark.parametrize("show", ["prompt", "prompt_stream", "stream"])
def test_retry_asks_what_was_asked_last(pieces, show):
    chat = Chat(ScriptedModel("A!", pieces, pieces, "B!"))
    chat.prompt("A")
    try: list(getattr(chat, show)("B") or ())
    except (GenerationError, KeyboardInterrupt, TypeError): pass
    assert said(chat) == ["A", "A!"]
    ask_in_vain(chat, chat.retry)
    assert said(chat) == ["A", "A!"]
    assert chat.retry().text == "B!" and chat.last.prompt == "B"
    assert said(chat) == ["A", "A!", "B", "B!"]


@pytest.mark.parametrize("pieces", in_vain.values(), ids=in_vain)
def test_a_retry_in_vain_keeps_the_old_answer(pieces):
    chat = Chat(ScriptedModel("A!", "B!", pieces, pieces, "C!", "D!"))
    chat.prompt("A"), chat.prompt("B")
    ask_in_vain(chat, chat.retry)
    assert said(chat) == ["A", "A!", "B", "B!"]
    ask_in_vain(chat, chat.edit, text="C")
    assert said(chat) == ["A", "A!", "B", "B!"]
    chat.retry()
    assert said(chat) == ["A", "A!", "C", "C!"]
    chat.edit("D")
    assert said(chat) == ["A", "A!", "D", "D!"]


def test_edit_takes_the_place_of_what_was_stopped():
    chat = Chat(ScriptedModel("A!", [STOP], "C!"))
    chat.prompt("A"), chat.prompt("B"), chat.edit("C")
    assert said(chat) == ["A", "A!", "C", "C!"]


def test_the_very_first_prompt():
    chat = Chat(ScriptedModel([STOP], "A!"), "Briefly")
    chat.prompt("A")
    with pytest.raises(ChatError, match="“A” was stopped before its first word; nothing was added: retry"): chat.resume()
    with pytest.raises(ChatError, match="nothing to take back"): chat.undo()
    chat.retry()
    assert said(chat) == ["Briefly", "A", "A!"]


@pytest.mark.parametrize("why, match", [([STOP], "stopped before its first word"), ([OSError("gone")], "gone"), ([], "without a word")])
def test_resume_says_what_happened(why, match):
    "It does not go on with an earlier answer, even if that was cut."
    chat = Chat(Resumable(["one", "length"], why))
    chat.prompt("A")
    ask_in_vain(chat, chat.prompt, text="B")
    with pytest.raises(ChatError, match=f"“B” .*{match}.*nothing was added: retry"): chat.resume()
    assert said(chat) == ["A", "one"]


def test_what_was_refused_can_be_asked_again():
    chat = Chat(ScriptedModel("A!", "B!"))
    chat.model.parameters = frozenset({"max_tokens"})
    chat.prompt("A")
    with pytest.raises(ParameterError): chat.prompt("B", max_token=5)
    with pytest.raises(ChatError, match="max_token"): chat.resume()
    chat.retry(max_tokens=5)
    assert said(chat) == ["A", "A!", "B", "B!"]
    small = Chat(load(n_ctx=64), temperature=0)
    with pytest.raises(ContextOverflowError): small.prompt("Mercury and Venus " * 100)
    with pytest.raises(ContextOverflowError): small.retry()
    for nothing in (None, "", 5):
        with pytest.raises(ChatError): small.prompt(nothing)
    with pytest.raises(ContextOverflowError): small.retry()


@pytest.mark.parametrize("forget", [
    lambda chat: chat.undo(), lambda chat: chat.clear() or chat.messages.append_turn("A", "A!"),
    lambda chat: setattr(chat, "messages", [{"role": "user", "content": "A"}, {"role": "assistant", "content": "A!"}]),
    lambda chat: setattr(chat, "messages", [{"role": "user", "content": "A"}] * 4),
    lambda chat: chat.undo() or chat.messages.append_turn("A", "A!"),
    lambda chat: chat.messages.append_turn("A", "A!"), lambda chat: chat.messages.cut(2),
    lambda chat: chat.prompt("A")])
def test_what_is_taken_back_is_forgotten(forget):
    chat = Chat(ScriptedModel("A!", "B!", [STOP], "A!"))
    chat.prompt("A"), chat.prompt("B"), chat.prompt("C")
    forget(chat)
    chat.retry()
    assert chat.last.prompt == "A"


def test_a_fork_knows_what_was_asked_last():
    chat = Chat(Resumable(["one"], ["<think>Hm", STOP], [".</think>A"], ["!</think>B"]))
    chat.prompt("A"), chat.prompt("B")
    other = chat.fork()
    chat.resume(), other.resume()
    assert (said(chat), said(other)) == (["A", "one", "B", "A"], ["A", "one", "B", "B"])
    assert (chat.last.reasoning, other.last.reasoning) == ("Hm.", "Hm!")


def test_another_answer_meanwhile():
    "Asked while an answer was on its way: refused, and asked last."
    chat = Chat(ScriptedModel("one two", "three"))
    stream = chat.stream("Count")
    next(stream)
    with pytest.raises(ChatError, match="still answering"): chat.prompt("Go on")
    list(stream)
    chat.retry()
    assert said(chat) == ["Count", "one two", "Go on", "three"]


# What stands below an answer

@pytest.mark.parametrize("pieces, reason, note", [
    ([STOP], "stop", "(stopped before the first word; nothing was added)\n"),
    ([], "stop", "(the model never came to an answer; nothing was added)\n"),
    (["<think>Hm", STOP], "stop", "(stopped before the first word; nothing was added)\n"),
    (["<think>Hm"], "length", "(the model never came to an answer: cut in its reasoning by max_tokens=3; nothing was added"
        " · chat.retry(max_tokens=12) asks again)\n"),
    ([" \n"], "length", "(the model never came to an answer: cut by max_tokens=3; nothing was added · chat.retry(max_tokens=12) asks again)\n"),
    (["Jupiter ("], "length", "Jupiter (\n\n(cut by max_tokens=3)\n"),
    (["Jupiter ("], "content_filter", "Jupiter (\n\n(cut by a content filter)\n"),
    (["Jupiter", STOP], "stop", "Jupiter\n\n(stopped)\n"),
    (["Jupiter"], "stop", "Jupiter\n")])
@pytest.mark.parametrize("ask", ["prompt", "prompt_stream"])
def test_what_is_said_below(screen, pieces, reason, note, ask):
    chat = Chat(ScriptedModel(pieces, finish_reason=reason), max_tokens=3)
    getattr(chat, ask)("A")
    assert screen.getvalue().lstrip() == note


def test_a_failure_is_no_stop(screen):
    chat = Chat(ScriptedModel([OSError("gone")], ["one", OSError("gone")]))
    with pytest.raises(GenerationError): chat.prompt("A")
    assert screen.getvalue() == ""
    with pytest.raises(GenerationError): chat.prompt("A")
    assert screen.getvalue() == "one\n\n(broken off by an error)\n"


def test_what_has_cut_an_answer(screen):
    "The context window, though fewer tokens were allowed; then resume() leaves out the oldest turn."
    chat = Chat(load(n_ctx=160), temperature=0)
    chat.prompt("Name the planets in the solar system")
    reply = chat.prompt("Sort the list by mass")
    assert screen.getvalue().endswith("8. Jupiter (\n\n(cut because the context window is full · chat.resume() goes on)\n")
    assert chat.resume() is reply and reply.text.endswith("8. Jupiter (317.8 Earth masses)")
    assert (reply.finish_reason, reply.left_out, len(chat.messages)) == ("stop", 1, 4)
    assert sum((reply.usage.prompt_tokens, reply.usage.completion_tokens)) < 160
    cut = chat.prompt("Name the planets in the solar system", max_tokens=9)
    assert screen.getvalue().endswith("(cut by max_tokens=9 · chat.resume() goes on)\n") or cut.left_out
    alone = Chat(load(n_ctx=40), temperature=0)
    alone.prompt("Name the planets in the solar system")
    assert screen.getvalue().endswith("(cut because the context window is full)\n")
    with pytest.raises(ContextOverflowError): alone.resume()
    strict = Chat(load(n_ctx=160), temperature=0, overflow="error")
    for prompt in ("Name the planets in the solar system", "Sort the list by mass"): strict.prompt(prompt)
    assert screen.getvalue().endswith("(cut because the context window is full)\n")


# Reasoning without an answer

@pytest.mark.parametrize("how", ["length", STOP])
def test_reasoning_is_kept_to_resume_from(how):
    whole = "<think>Two and two is four.</think>\n\nIt is 4."
    for cut in range(1, whole.index("It")):
        chat = Chat(Resumable(["Hello"], [whole[:cut], how], [whole[cut:]], ["Thanks"]), "Think")
        chat.prompt("Hi")
        reply = chat.prompt("What is 2 + 2?")
        if reply.text.strip(): continue   # half a mark is a text, as long as nothing follows
        assert said(chat) == ["Think", "Hi", "Hello"] and chat.last is reply
        assert chat.resume() is reply and chat.last is reply and not reply.interrupted
        assert chat.model.requests[2][-2:] == [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": whole[:cut]}]
        assert (reply.text, reply.reasoning) == ("It is 4.", "Two and two is four.")
        chat.prompt("Bye")
        assert [message["role"] for message in chat.model.requests[3]] == ["system", *["user", "assistant"] * 2, "user"]


def test_a_new_prompt_after_reasoning_without_an_answer():
    chat = Chat(Resumable(["<think>Hm", "length"], ["Hello"]))
    chat.prompt("A"), chat.prompt("B")
    assert said(chat) == ["B", "Hello"] and chat.model.requests[1] == [{"role": "user", "content": "B"}]
    assert chat.last.prompt == "B"


def test_a_resume_of_reasoning_that_fails():
    chat = Chat(Resumable(["<think>Hm", "length"], [OSError("gone")], ["m", STOP], [STOP], ["</think>A"]))
    reply = chat.prompt("A")
    with pytest.raises(GenerationError): chat.resume()
    assert (reply.reasoning, reply.finish_reason, reply.interrupted) == ("Hm", "length", False)
    chat.resume(), chat.resume()
    assert (reply.reasoning, reply.interrupted, said(chat)) == ("Hmm", True, [])
    chat.resume()
    assert (reply.text, reply.reasoning, said(chat)) == ("A", "Hmm", ["A", "A"])




def test_the_engine_goes_on_with_reasoning():
    class Begins:
        "Gives up within its reasoning the first time."
        resumes, begun = True, False
        def __init__(self, engine): self.engine, self.name, self.n_ctx, self.count = engine, engine.name, engine.n_ctx, engine.count
        def stream(self, messages, **params):
            if self.begun: return self.engine.stream(messages, **params)
            self.begun = True
            return iter([Delta("<think>1. Mercury\n2. Venus\n"), Delta(finish_reason="length")])
    chat = Chat(Begins(load()), temperature=0)
    reply = chat.prompt("Name the planets")
    assert (reply.text, said(chat)) == ("", [])
    chat.resume(max_tokens=8)
    assert reply.reasoning.startswith("1. Mercury\n2. Venus\n") and len(reply.reasoning) > 25 and said(chat) == []
    assert chat.prompt("Name the planets").usage.prompt_tokens < 20


@pytest.mark.parametrize("begun", [" " * 60, "word " * 60])
def test_a_full_window_with_an_answer_that_was_begun(begun):
    "What is left out are old turns; prompt and beginning stay."
    class Small(Resumable):
        n_ctx = 100
        def count(self, messages): return sum(len(m["content"].split(" ")) for m in messages)
    chat = Chat(Small(["one " * 20], [begun, "length"], ["two"]))
    chat.prompt("A")
    reply = chat.prompt("B")
    reply.usage = Usage(40, 0, 60)
    chat.resume()
    assert chat.model.requests[-1] == [{"role": "user", "content": "B"}, {"role": "assistant", "content": begun}]
    assert (said(chat)[2:], reply.left_out) == (["B", begun + "two"], 1)


def test_an_empty_answer_is_never_sent():
    "Not from a history that holds one either."
    history = [("user", "A"), ("assistant", ""), ("user", "B"), ("assistant", " \n"), ("user", "C"), ("assistant", "C!")]
    chat = Chat(ScriptedModel("D!"))
    chat.messages = [{"role": role, "content": content} for role, content in history]
    chat.prompt("D")
    assert asked(chat) == [{"role": "user", "content": "A\n\nB\n\nC"}, {"role": "assistant", "content": "C!"}, {"role": "user", "content": "D"}]
    assert len(chat.messages) == 8


# What is set

def bad(name): return {
    "messages": [[{"role": "user"}], [{"role": "robot", "content": "x"}], [{"role": "user", "content": 5}], ["x"], "x", None, 5, {"role": "user"},
        [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}], [None], object()],
    "params": [None, 5, "x", [("temperature", 0)], {"messages": []}, {"system_message": "x"}, {"n_ctx": 5}, {5: 5}, {"temprature": 0}],
    "model": [42, object(), "no.gguf", ScriptedModel],
    "overflow": [None, "ignore", 5], "font_size": [None, "16", 0, -1, True, float("nan"), float("inf")]}[name]


@pytest.mark.parametrize("name", ["messages", "params", "model", "overflow", "font_size"])
def test_what_does_not_fit_is_refused_at_once(name):
    chat = Chat(ScriptedModel("one", "two"), "Briefly", temperature=0)
    chat.model.parameters = frozenset({"temperature"})
    chat.prompt("A")
    before = getattr(chat, name)
    for value in bad(name):
        with pytest.raises(ChatError): setattr(chat, name, value)
        assert getattr(chat, name) is before and said(chat) == ["Briefly", "A", "one"]
    chat.prompt("B")
    assert said(chat)[-2:] == ["B", "two"]


def test_another_conversation():
    chat = Chat(ScriptedModel("one", "two", "three"))
    messages = ChatMessages.from_messages([{"role": "user", "content": "A"}, {"role": "assistant", "content": "A!"}])
    for given in (messages, messages.get_messages(), tuple(messages), iter(messages)):
        chat.messages = given
        assert chat.messages == messages and isinstance(chat.messages, ChatMessages)
    chat.prompt("B")
    assert said(chat) == ["A", "A!", "B", "one"]
    other = ScriptedModel("another")
    chat.model, chat.params = other, {"temperature": 1}
    assert chat.prompt("C").text == "another" and other.requests[-1]["temperature"] == 1
    stream = chat.stream("D")
    next(stream)
    for name, value in (("messages", []), ("model", other)):
        with pytest.raises(ChatError, match="still answering"): setattr(chat, name, value)
    stream.close()
    assert said(chat)[-2:] == ["D", "another"]


def test_parameters_that_are_changed_later():
    chat = Chat(load(), temperature=0)
    chat.params["temprature"] = 0
    with pytest.raises(ParameterError, match="Did you mean 'temperature'"): chat.prompt("Hi")
    with pytest.raises(ParameterError): chat.model = chat.model
    del chat.params["temprature"]
    assert chat.prompt("Hi").text


# However a text is cut

def reference(text):
    "Answer and reasoning of a whole text."
    said, thoughts, rest, settled, start, closings = "", "", whole_text(text), False, True, set(REASONING.values())
    while True:
        if start and (opened := next((mark for mark in REASONING if rest.lstrip().startswith(mark)), None)):
            thought, closed, rest = rest.lstrip()[len(opened):].partition(REASONING[opened])
            thoughts, settled = thoughts + thought, True
            if not closed: return said, thoughts
            continue
        at, _, mark = min(((rest.find(mark), -len(mark), mark) for mark in ([ANYWHERE] if settled else MARKS) if mark in rest), default=(len(rest), 0, ""))
        before, rest = rest[:at], rest[at + len(mark):]
        said, in_code = said + before, (said + before).count("`") % 2
        if not mark: return said, thoughts
        start = not in_code and (mark == ANYWHERE or mark in closings)
        if not start: said, settled = said + mark, True
        elif mark == ANYWHERE: rest = mark + rest
        else: said, thoughts, settled = "", thoughts + said, True


def split(pieces):
    parts, answer, thoughts = Apart(), "", ""
    for piece in (*pieces, None):
        said, thought = parts.close() if piece is None else parts.feed(piece)
        if piece is not None and parts.rethought: answer, thoughts = "", thoughts + answer
        answer, thoughts = answer + said, thoughts + thought
    return answer, thoughts


def cut(text, places): return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)])]


MARKS, ANYWHERE = [*REASONING, *REASONING.values()], "<|channel>thought"
PARTS = [*MARKS, *MARKS, "`", *(mark[:n] for mark in MARKS for n in (1, 2, len(mark) - 1)), " ", "\n", "a", "\ud83d", "\ude00", "😀"]


def texts(seed, n):
    draw = random.Random(seed)
    for _ in range(n):
        text = "".join(draw.choices(PARTS, k=draw.randrange(8)))
        yield text, [sorted(draw.sample(range(len(text) + 1), min(len(text), draw.randrange(6)))) for _ in range(3)]


def test_however_a_text_is_cut():
    for text, places in texts(1, 6000):
        for pieces in (list(text), [text], *(cut(text, at) for at in places)): assert split(pieces) == reference(text), pieces


def test_however_an_answer_in_channels_is_cut():
    "As gpt-oss writes: parts with a head each; some end with their own mark, some by the head of the next."
    draw, words = random.Random(3), ["Two", " and ", "two", "<think>", "\n", "😀", "`", "<|", "</think>", "<|mess"]
    for _ in range(600):
        text, answer, thoughts = "", "", ""
        for n in range(draw.randrange(1, 5)):
            channel, said = draw.choice(["analysis", "commentary", "final", "commentary to=functions.add <|constrain|>json"]), "".join(draw.choices(words, k=draw.randrange(5)))
            text += draw.choice(["", "<|start|>assistant"] if n == 0 else ["<|start|>assistant"]) + f"<|channel|>{channel}<|message|>{said}" + draw.choice(["", "<|end|>"])
            if channel == "final": answer += said
            else: thoughts += said
        text += draw.choice(["", "<|return|>", "<|call|>"])
        for pieces in (list(text), [text], cut(text, sorted(draw.sample(range(len(text)), 5)))): assert split(pieces) == (answer, thoughts), pieces


def test_however_a_reply_is_cut():
    "And resumed."
    def outcome(chat): return chat.last and (chat.last.text, chat.last.reasoning, said(chat))
    for text, places in texts(2, 150):
        if not reference(text)[0].strip(): continue
        outcomes = []
        for at in places:
            chat = Chat(Resumable(cut(text, at)))
            "".join(chat.stream("q"))
            outcomes.append(outcome(chat))
            pieces = [piece for piece in cut(text, at[:2]) if piece]
            resumed = Chat(Resumable(*([piece, "length"] for piece in pieces)))
            "".join(resumed.stream("q"))
            for _ in pieces[1:]: resumed._show(None, {}, going_on=resumed.last, live=False)
            outcomes.append(outcome(resumed))
        assert all(other == outcomes[0] for other in outcomes), (text, outcomes)


# Halves of characters

@pytest.mark.parametrize("pieces, whole", [(["\ud83d", "\ude00"], "😀"), (["a\ud83d", "", "\ude00b"], "a😀b"), (["\ud83d"], "\ufffd"), (["\ude00\ud83d"], "\ufffd\ufffd"),
    (["\ud83d", "x"], "\ufffdx"), (["\ud83d", "\ud83d\ude00"], "\ufffd😀"), (["<think>\ud83d", "\ude00</think>\ud83d", "\ude00"], "😀"), (["\udcff"], "\ufffd")])
@pytest.mark.parametrize("stop", [[], [STOP], [OSError("gone")]])
def test_halves_from_a_model(screen, pieces, whole, stop):
    chat = Chat(ScriptedModel([*pieces, *stop], "ok"))
    ask_in_vain(chat, chat.prompt_stream, text="q")
    assert chat.last.text == said(chat)[1] == whole and screen.getvalue().startswith(whole)
    assert chat.prompt("Go on").text == "ok" and json.dumps(asked(chat), ensure_ascii=False).encode()
    chat = Chat(ScriptedModel([*pieces, *stop]))
    try: assert "".join(chat.stream("q")) == whole
    except (GenerationError, KeyboardInterrupt): pass


def test_half_a_character_before_a_stop_is_made_whole_by_resume():
    chat = Chat(Resumable(["one \ud83d", "length"], ["\ude00"]))
    reply = chat.prompt("q")
    assert reply.text == "one \ufffd"
    chat.resume()
    assert reply.text == said(chat)[1] == "one 😀" and chat.model.requests[1][-1]["content"] == "one \ufffd"


def test_halves_from_a_person():
    half, both = "\ud83d", "\ud83d\ude00"
    chat = Chat(load(), f"Briefly {half}", temperature=0, stop=[half])
    chat.messages.append_user_message(half), chat.messages.append_assistant_message(both)
    chat.messages.append_turn(half, half)
    reply = chat.prompt(f"Name the planets {both}")
    chat.edit(half), chat.retry(), chat.prompt("Hi", max_tokens=3)
    chat.messages = [*chat.messages, {"role": "user", "content": half}]
    assert said(chat)[:5] == ["Briefly \ufffd", "\ufffd", "😀", "\ufffd", "\ufffd"] and reply.prompt == "Name the planets 😀"
    assert int(chat.context) and json.dumps(chat.messages.get_messages(), ensure_ascii=False).encode()
    class Named(ScriptedModel): model_path = "/models/\udcff.gguf"
    chat = Chat(Named("ok"), stop=[half, both], grammar={"x": (half,)})
    assert chat.model.name == "\ufffd.gguf" and chat.prompt("x").text == "ok"
    assert chat.model.llm.requests[-1]["stop"] == ["\ufffd", "😀"]
    with pytest.raises(GenerationError, match="\ufffd"): Chat(ScriptedModel([OSError(half)])).prompt("x")


# Figures from outside

def told(value): return "an object" if type(value) is object else repr(value)   # the same in every process


odd = [None, "7", "x", 7.5, -1, True, float("nan"), float("inf"), 10**400, [], {}, [7], {"cached_tokens": "7"}, object()]


@pytest.mark.parametrize("value", odd, ids=told)
def test_odd_figures(screen, value):
    Chat.footer = True
    usages = [value, *({"prompt_tokens": 30, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}, name: value}
        for name in ("prompt_tokens", "completion_tokens", "prompt_tokens_details")), {"prompt_tokens_details": {"cached_tokens": value}}]
    for usage in usages:
        model = ScriptedModel(["one", " two", {"choices": [], "usage": usage}], finish_reason=value)
        model.n_ctx = value
        chat = Chat(model)
        reply = chat.prompt("q")
        assert reply.text == "one two" and said(chat) == ["q", "one two"]
        assert all(figure is None or type(figure) is int for figure in vars(reply.usage).values())
        assert str(chat.context) and reply.finish_reason == (value if isinstance(value, str) else None)
    class Own(Resumable):
        n_ctx = value
        def stream(self, messages, **params):
            yield Delta(progress=value)
            yield Delta(progress=(value, 7))
            yield Delta("one", usage=Usage(value, value, value))
            yield Delta(" two", finish_reason=value, usage=value)
    reply = Chat(Own()).prompt("q")
    assert reply.text == "one two" and reply.finish_reason in (None, "7", "x") and isinstance(reply.usage, Usage)


@pytest.mark.parametrize("name", ["choices", "delta", "content", "finish_reason", "error", "choice", "chunk"])
@pytest.mark.parametrize("value", [*odd, "text", b"text", {"message": "gone"}, {"message": None}, [{"type": "text", "text": "word"}]], ids=told)
def test_odd_chunks(name, value):
    "An answer, or an error of the package; the conversation is whole."
    chunk = {"choices": [{"delta": {"content": "word"}, "finish_reason": None}]}
    if name in chunk or name == "error": chunk = {**chunk, name: value}
    elif name == "choice": chunk = {"choices": [value]}
    elif name in ("delta", "finish_reason"): chunk["choices"][0][name] = value
    elif name == "content": chunk["choices"][0]["delta"][name] = value
    class Odd(ScriptedModel):
        def _chunks(self, pieces):
            yield value if name == "chunk" else chunk
            yield from super()._chunks(pieces)
    chat = Chat(Odd([" end"]))
    try: assert chat.prompt("q").text.endswith("end")
    except GenerationError: assert said(chat) in ([], ["q", "word"])
    try: assert chat.model.llm.create_chat_completion([])["choices"][0]["message"]["content"].endswith("end")
    except (TypeError, RuntimeError): pass


def test_content_in_parts():
    parts = [{"type": "text", "text": "one "}, {"type": "image_url", "image_url": {}}, "two", {"type": "text", "text": None}]
    assert Chat(ScriptedModel([{"choices": [{"delta": {"content": parts}}]}])).prompt("q").text == "one two"


def test_errors_that_can_not_be_told():
    class Mute(Exception):
        def __str__(self): raise ValueError
    class Own(Resumable):
        def stream(self, messages, **params): raise Mute
    with pytest.raises(GenerationError, match="Mute"): Chat(Own()).prompt("q")
    for error in (Mute(), {"error": {"message": "overloaded"}}, {"error": ["overloaded"]}):
        with pytest.raises(GenerationError, match="Mute|overloaded"): Chat(ScriptedModel([error])).prompt("q")


@pytest.mark.parametrize("value", [None, "7", -1, float("nan"), OSError("gone")], ids=repr)
def test_a_model_that_can_not_count(value):
    class Miscounts(Resumable):
        n_ctx = 100
        def count(self, messages):
            if isinstance(value, Exception): raise value
            return value
    chat = Chat(Miscounts(["one"]))
    with pytest.raises(GenerationError, match="count"): chat.prompt("q")
    assert said(chat) == []


# Messages in any order

def any_order(seed):
    draw = random.Random(seed)
    roles = draw.choices(["user", "assistant"], k=draw.randrange(9))
    messages = [{"role": role, "content": draw.choice(["", " ", f"word{n}", f"word{n}"])} for n, role in enumerate(roles)]
    return [{"role": "system", "content": "Briefly"}] * draw.randrange(2) + messages


def test_what_is_sent_is_in_order():
    for seed in range(400):
        messages, model = any_order(seed), ScriptedModel("ok", "ok")
        chat = Chat(model)
        chat.messages = messages
        for prompt in ("first", "second"):
            chat.prompt(prompt)
            system, turns = asked(chat)[:1], asked(chat)
            if system[0]["role"] == "system": turns = turns[1:]
            assert [m["role"] for m in turns] == (["user", "assistant"] * len(turns))[:len(turns)] and turns[-1]["role"] == "user", messages
            sent = "\n".join(m["content"] for m in asked(chat))
            assert all(m["content"].strip() in sent for m in messages) and all(m["content"].strip() for m in turns if m["role"] == "assistant")
        assert chat.messages.get_messages()[:len(messages)] == messages and len(chat.messages) == len(messages) + 4
        assert alternating(asked(chat)) == asked(chat)


def test_a_template_that_insists():
    "Refuses all but user and assistant in turn, as those of Llama 2, Mistral and Gemma do."
    class Strict(ScriptedModel):
        def create_chat_completion(self, messages, stream=False, **params):
            roles = [message["role"] for message in messages if message["role"] != "system"]
            if roles != (["user", "assistant"] * len(roles))[:len(roles)]: raise ValueError("roles must alternate")
            return super().create_chat_completion(messages, stream, **params)
    chat = Chat(Strict("ok"), "Briefly")
    chat.messages.append_user_message("a"), chat.messages.append_user_message("b")
    chat.prompt("c")
    chat.messages.append_assistant_message("d"), chat.messages.append_assistant_message("e")
    chat.prompt("f")
    assert asked(chat)[1:] == [{"role": "user", "content": "a\n\nb\n\nc"}, {"role": "assistant", "content": "ok\n\nd\n\ne"}, {"role": "user", "content": "f"}]
    assert said(chat) == ["Briefly", "a", "b", "c", "ok", "d", "e", "f", "ok"]
    chat.undo()
    assert said(chat) == ["Briefly", "a", "b", "c", "ok", "d", "e"]


def test_the_flow_of_the_article():
    "Letter for letter: append, send, append."
    llm, messages = ScriptedModel("Mercury"), ChatMessages()
    messages.append_system_message("Briefly")
    for prompt in ("Name a planet", "Another one"):
        messages.append_user_message(prompt)
        answer = llm.create_chat_completion(messages.get_messages())["choices"][0]["message"]["content"]
        messages.append_assistant_message(answer)
    assert llm.requests[-1]["messages"] == messages.get_messages()[:-1] and len(messages) == 5


def test_errors_of_messages():
    for wrong, error in ((None, MessageTypeError), (5, MessageTypeError), ("x", MessageError), ([5], MessageError)):
        with pytest.raises(error): ChatMessages.from_messages(wrong)
    with pytest.raises(ModelTypeError): CompletionModel(42)
