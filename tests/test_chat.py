"Odd orders of things: the conversation stays what it is."
import signal

import pytest

from llama_nbchat import Chat, ChatError, ContextOverflowError, GenerationError, MessageTypeError, ScriptedModel, load
from llama_nbchat.context import fit
from llama_nbchat.display import NotebookScreen


class Resumable(ScriptedModel):
    "A scripted chat model that goes on with an answer, and says `length` where its script does."
    name, n_ctx, resumes = "scripted", None, True

    def stream(self, messages, **params):
        from llama_nbchat import Delta
        pieces = self.replies[len(self.requests) % len(self.replies)]
        self.requests.append(messages)
        for piece in pieces:
            if isinstance(piece, BaseException): raise piece
            yield Delta(piece) if piece != "length" else Delta(finish_reason="length")

    def count(self, messages): return sum(len(message["content"].split()) for message in messages)


def said(chat): return [message["content"] for message in chat.messages]


@pytest.mark.parametrize("whole", ("<think>a b</think>answer", "<think>a</think>\n\nan answer </think> more", "plain <think>", " spaced"))
def test_resumed_anywhere(whole):
    "Wherever the text was cut, also within a mark: what is put together is the same."
    expected = Chat(Resumable([whole]))
    expected.prompt("q")
    for cut in range(1, len(whole)):
        chat = Chat(Resumable([whole[:cut], "length"], [whole[cut:]]))
        reply = chat.prompt("q")
        assert chat.resume() is reply and chat.last is reply
        assert (reply.text, reply.reasoning) == (expected.last.text, expected.last.reasoning), cut
        assert said(chat) == ["q", expected.last.text]
        assert chat.model.requests[1][-1] == {"role": "assistant", "content": whole[:cut]}


def test_a_resume_that_fails_changes_nothing():
    chat = Chat(Resumable(["one", "length"], [OSError("gone")], [" two"]))
    reply = chat.prompt("q")
    with pytest.raises(GenerationError): chat.resume()
    assert (reply.text, reply.finish_reason, reply.interrupted, said(chat)) == ("one", "length", False, ["q", "one"])
    chat.resume()
    assert said(chat) == ["q", "one two"]


def test_a_retry_that_fails_leaves_the_old_answer():
    chat = Chat(ScriptedModel("one", "two", [OSError("gone")], ["thr", OSError("gone")]))
    chat.prompt("a"), chat.prompt("b")
    with pytest.raises(GenerationError): chat.retry()
    assert said(chat) == ["a", "one", "b", "two"] and chat.last.text == "two"
    with pytest.raises(GenerationError): chat.retry()
    assert said(chat) == ["a", "one", "b", "thr"] and chat.last.interrupted


def test_forks_are_independent():
    chat = Chat(Resumable(["one", "length"], [" two"], [" three"]))
    first = chat.prompt("q")
    other = chat.fork()
    chat.resume(), other.resume()
    assert (said(chat), said(other), first.text) == (["q", "one two"], ["q", "one three"], "one two")
    other.undo()
    assert len(chat.messages) == 2 and other.last is None


def test_what_is_added_by_hand_stays():
    chat = Chat(ScriptedModel("one two", "three"))
    stream = chat.stream("q")
    next(stream)
    chat.messages.append_user_message("note")
    list(stream)
    assert said(chat) == ["note", "q", "one two"]
    chat.messages.cut(0)
    assert chat.last is None
    for impossible in (chat.resume, chat.retry, chat.undo):
        with pytest.raises(ChatError): impossible()
    chat.prompt("q")
    assert said(chat) == ["q", "three"]


def test_a_reply_is_no_prompt():
    chat = Chat(ScriptedModel("one", "two"))
    reply = chat.prompt("q")
    for ask in (chat, chat.prompt, chat.edit, lambda text: list(chat.stream(text))):
        with pytest.raises(MessageTypeError, match="not Reply"): ask(reply)
    assert said(chat) == ["q", "one"]


def test_undo_while_a_stream_is_open():
    chat = Chat(ScriptedModel("one two", "three"))
    stream = chat.stream("q")
    next(stream)
    with pytest.raises(ChatError, match="still answering"): chat.undo()
    stream.close()
    chat.undo()
    assert said(chat) == []


def test_the_first_message_is_never_dropped_unsaid():
    first = {"role": "assistant", "content": "word " * 30}
    prompt = {"role": "user", "content": "hi"}
    count = lambda messages: sum(len(message["content"].split()) for message in messages)
    with pytest.raises(ContextOverflowError): fit([first, prompt], count, 20)
    assert fit([first, prompt], count, 32, room=5) == ([first, prompt], 0)


def test_an_overflow_function_that_fails():
    model = Resumable(["one"])
    model.n_ctx = 4
    with pytest.raises(GenerationError, match="overflow function") as failed:
        Chat(model, overflow=lambda messages, limit: 1 / 0).prompt("a b c d e")
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    with pytest.raises(ContextOverflowError): Chat(model, max_tokens=-1).prompt("a b c d e")


def test_an_answer_goes_on_after_a_later_turn_was_taken_back():
    "It is sent what it was sent when turns had been left out."
    chat = Chat(load(n_ctx=160), temperature=0)
    for prompt in ("Name the planets in the solar system", "Sort the list by mass"): chat.prompt(prompt)
    reply = chat.prompt("Name the planets in the solar system", max_tokens=9)
    assert reply.left_out == 2 and reply.finish_reason == "length"
    begun = reply.text
    chat.prompt("Who has the most moons?", max_tokens=3)
    chat.undo()
    assert chat.resume() is reply and reply.text.startswith(begun) and reply.text.endswith("8. Neptune")


def test_a_stop_within_an_overflow_function_stops_the_turn():
    def pieces():
        yield "Once "
        signal.raise_signal(signal.SIGINT)
        yield "more"
    inner = Chat(ScriptedModel(pieces()))
    def decide(messages, limit): return [*messages[:1], {"role": "assistant", "content": inner.prompt("Sum up").text}, messages[-1]]
    chat = Chat(load(n_ctx=160), temperature=0, overflow=decide)
    for prompt in ("Name the planets in the solar system", "Sort the list by mass"): chat.prompt(prompt)
    before = len(chat.messages)
    reply = chat.prompt("Name the planets in the solar system")
    assert inner.last.interrupted and (reply.interrupted and len(reply.text) < 20 or len(chat.messages) == before)
    assert not chat.prompt("Thanks").interrupted


def test_a_long_prefill_leaves_something_for_the_text(monkeypatch):
    "A minute of progress ten times a second, then the text is shown at once."
    now, sent = [0.0], []
    monkeypatch.setattr("llama_nbchat.display.display", lambda content, **options: sent.append(content) or Handle())
    class Handle:
        def update(self, content, raw): sent.append(content)
    screen = NotebookScreen(clock=lambda: now[0])
    for n in range(600):
        now[0] += 0.1
        screen.wait(n, 600)
    assert 100 < len(sent) < 400
    screen.show("The answer")
    assert "The answer" in sent[-1]["text/markdown"]


@pytest.fixture
def outputs(monkeypatch):
    "What stands in each output of a cell, for a screen whose clock is `now`."
    shown, now = [], [0.0]
    class Output:
        def __init__(self, content): shown.append(content); self.n = len(shown) - 1
        def update(self, content, raw): shown[self.n] = content
    monkeypatch.setattr("llama_nbchat.display.display", lambda content, **options: Output(content))
    screen = NotebookScreen(clock=lambda: now[0])
    screen.spent = float("-inf")   # so that it does not matter how fast this machine is
    return screen, shown, now


FORMULAS = "The area is \\[\\frac{a", "so $\\alpha", "in \\(x_1", "and $$\\sum_{k"


@pytest.mark.parametrize("formula", FORMULAS)
def test_words_that_wait_for_a_formula_come_when_there_is_none(outputs, formula):
    "Also if they stand in an output that is not the last one any more."
    screen, shown, now = outputs
    text = "All is well here. " * 60 + f"\n\n{formula}"
    for more in ("", "\n\n", "Next comes a list:\n\n", "- one\n- two\n\n", "Words. " * 130 + "\n\n", "The end"):
        text += more
        now[0] += 5
        screen.show(text)
        seen = "".join(output["text/markdown"] for output in shown)
        assert ("…" in seen) == (not more), (more, seen[-300:])
    assert "The end" in seen and len(shown) > 1


@pytest.mark.parametrize("formula", ("\\[\\frac{a", "$$x"))
def test_an_output_that_was_shortened_is_sent_again_when_another_is_the_last(outputs, formula):
    "A list begins right behind it, so that its own text stays the same."
    screen, shown, now = outputs
    text = "All is well here. " * 41 + f"\n\nThe area is {formula}\n"
    screen.show(text)
    assert "…" in "".join(output["text/markdown"] for output in shown)
    for more in ("- one key of them, which is the longest one, and more of it\n", "- second\n- third\n"):
        text += more
        now[0] += 5
        screen.show(text)
    assert len(shown) > 1 and "…" not in "".join(output["text/markdown"] for output in shown), shown


def test_a_part_is_rendered_once_for_each_text(outputs, monkeypatch):
    "What it costs is reckoned with what is then sent, in the first output as in the last."
    from llama_nbchat import display
    rendered, render = [], display.safe_markdown
    monkeypatch.setattr(display, "safe_markdown", lambda text, *more: rendered.append(text) or render(text, *more))
    screen, shown, now = outputs
    screen.speaker = "somebody"
    text = ""
    for n in range(60):
        now[0] += 1
        text += f"Line {n} of **some** words, once.\n\n"
        screen.show(text)
    assert "somebody" in shown[0]["text/markdown"] and "somebody" not in shown[-1]["text/markdown"]
    rendered = [text for text in rendered if text]
    assert len(rendered) == len(set(rendered)) > 20
