"Real interrupts, at every line that a turn runs through: the conversation stays whole, and the next prompt works."
import contextlib
import io
import signal
import sys

import pytest

from llama_nbchat import Chat, ScriptedModel
from tests.test_package import package


def interrupted_turn(line, presses):
    "A turn with interrupts at the `line`-th line that runs in the package: the chat, what was printed, whether one got out."
    chat, screen, lines, escaped = Chat(ScriptedModel("one two", "three four")), io.StringIO(), 0, False
    def trace(frame, event, arg):
        nonlocal lines
        if not frame.f_code.co_filename.startswith(str(package)): return None
        if event == "line":
            lines += 1
            if lines == line:
                for _ in range(presses): signal.raise_signal(signal.SIGINT)
        return trace
    with contextlib.redirect_stdout(screen):
        try:
            sys.settrace(trace)
            chat("Count")
        except KeyboardInterrupt: escaped = True
        finally: sys.settrace(None)
    return chat, screen.getvalue(), escaped, lines


def lines_of_a_turn(): return interrupted_turn(-1, 0)[3]


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_at_every_line(presses):
    lines, escaped, stopped = lines_of_a_turn(), [], 0
    assert lines > 100
    for line in range(1, lines + 1):
        chat, shown, out, _ = interrupted_turn(line, presses)
        roles = [message["role"] for message in chat.messages]
        assert roles in ([], ["user", "assistant"]), line
        if shown: assert chat.messages[-1]["content"] == chat.last.text == shown.rstrip("\n"), line
        assert bool(roles) == (chat.last is not None), line
        stopped += chat.last is not None and chat.last.interrupted
        if out: escaped.append(line)
        before = len(chat.messages)
        with contextlib.redirect_stdout(io.StringIO()): assert not chat("And now?").interrupted, line
        assert len(chat.messages) == before + 2, line
    assert stopped > 10
    assert len(escaped) <= 8, escaped   # before the turn has begun, or after it has ended


def test_a_reader_of_the_stream_gets_the_interrupt():
    chat = Chat(ScriptedModel("one two three"))
    with pytest.raises(KeyboardInterrupt):
        for piece in chat.stream("Count"): signal.raise_signal(signal.SIGINT)
    assert chat.last.interrupted and chat.last.text == "one"
    assert [piece for piece in chat.stream("Go on")] == ["one", " two", " three"]


def test_chats_that_share_a_model():
    "Taking turns works; two answers at once are refused, and nothing is lost."
    model = ScriptedModel("one two three")
    first, second = Chat(model), Chat(model)
    stream = first.stream("Count")
    assert next(stream) == "one"
    with pytest.raises(Exception, match="still writing another answer"): second.prompt("Count")
    assert list(stream) == [" two", " three"] and len(second.messages) == 0
    second.prompt("Count")
    assert len(first.messages) == len(second.messages) == 2
