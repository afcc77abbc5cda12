"A real kernel: the messages it sends while an answer grows, and the stop button."
import threading
import time
from collections import Counter

import pytest
from jupyter_client.manager import KernelManager

slow_model = """
import threading
import time
from llama_nbchat import *
class Slow:
    def create_chat_completion(self, messages, stream, pieces=1000):
        for n in range(pieces):
            time.sleep(0.01)
            yield {"choices": [{"delta": {"content": f"{n} "}}]}
chat = Chat(Slow())
"""


@pytest.fixture(scope="module")
def kernel():
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def execute(kernel, code, on_message=lambda message: None):
    "Runs `code`; the messages that it published."
    manager, client = kernel
    messages = []
    def note(message):
        messages.append(message)
        on_message(message)
    reply = client.execute_interactive(code, output_hook=note, timeout=60)
    return reply["content"]["status"], [m for m in messages if m["msg_type"] not in ("status", "execute_input")]


def markdown(message): return message["content"]["data"]["text/markdown"]


def test_one_output_that_grows(kernel):
    execute(kernel, slow_model)
    start = time.perf_counter()
    status, messages = execute(kernel, "chat('Count', pieces=100)")
    seconds = time.perf_counter() - start
    assert status == "ok"
    assert [m["msg_type"] for m in messages] == ["display_data"] + ["update_display_data"] * (len(messages) - 1)
    assert len({m["content"]["transient"]["display_id"] for m in messages}) == 1
    assert 4 <= len(messages) <= 10 * seconds + 3
    waiting, *texts = [markdown(m) for m in messages]
    assert "…" in waiting and texts == sorted(texts, key=len) and "98 99" in texts[-1]


PAST = """
import llama_nbchat.chat as chats
from functools import partial
from llama_nbchat.display import GrowingText, NotebookScreen
now = [0.0]
usual = chats.GrowingText, chats.open_screen
chats.GrowingText = partial(chats.GrowingText, clock=lambda: now[0])
chats.open_screen = lambda font_size, live, images: NotebookScreen(clock=lambda: now[0])
class Fast:
    def create_chat_completion(self, messages, stream, kind, tokens, rate):
        words = ["```python\\n"] if kind == "code" else []
        lines = {"code": "total = total + 1.5  # all\\n", "prose": "Some more words to be seen\\n\\n", "block": "Some more words without end.", "list": "- some more words to be read\\n"}
        for n in range(tokens // 7 + 1): words += [lines[kind][k:k+4] for k in range(0, 28, 4)]
        for word in words[:tokens]:
            now[0] += 1 / rate
            yield {"choices": [{"delta": {"content": word}}]}
"""


@pytest.mark.parametrize("kind", ("prose", "code", "list", "block"))
def test_what_a_reply_costs(kernel, kind, request):
    "All bytes on the channel, for replies of 100 to 20,000 tokens, at 30 and at 300 a second (by a clock of its own)."
    execute(kernel, slow_model + PAST)
    request.addfinalizer(lambda: execute(kernel, "chats.GrowingText, chats.open_screen = usual"))
    size = lambda message: sum(map(len, kernel[1].session.serialize(message)))
    for tokens in (100, 2000, 20_000):
        for rate in (30, 300):
            everything = []
            status, messages = execute(kernel, f"Chat(Fast()).prompt_stream('Go', kind={kind!r}, tokens={tokens}, rate={rate})", everything.append)
            assert status == "ok"
            sent = sum(map(size, everything))
            reply = max((m["content"]["data"].get("text/plain", "") for m in messages), key=len)
            assert abs(len(reply) - 4 * tokens) < 0.2 * tokens
            assert sent < 4 * len(reply) + 20_000 + 10_000 * tokens / rate, (tokens, rate, sent)
            shown = {}
            for message in messages: shown[message["content"]["transient"]["display_id"]] = markdown(message)
            whole, *rest = shown.values()
            assert len(whole) >= len(reply) and rest == [""] * len(rest) and len(rest) < 4
            updates = Counter(m["content"]["transient"]["display_id"] for m in messages)
            assert max(updates.values()) <= 10 * tokens / rate + 4    # each output, at most ten times a second
            execute(kernel, "now[0] = 0.0")
            print(f"{kind} {tokens:6} tokens, {rate:3} a second: {sent:9,} bytes, {sent / (4 * len(reply) + 20_000 + 10_000 * tokens / rate):.2f} of the limit")


def test_prompt_shows_only_the_whole(kernel):
    execute(kernel, slow_model)
    status, messages = execute(kernel, "chat.prompt('Count', pieces=50)")
    assert [m["msg_type"] for m in messages] == ["display_data"] and "48 49 " in markdown(messages[0])


def test_other_outputs_stay(kernel):
    execute(kernel, slow_model)
    status, messages = execute(kernel, "print('before')\nchat('Count', pieces=5)\nchat('Count', pieces=3)\nprint('after')")
    kinds = [m["msg_type"] for m in messages if m["msg_type"] != "update_display_data"]
    assert kinds == ["stream", "display_data", "display_data", "stream"]


def test_stop_button(kernel):
    execute(kernel, slow_model)
    pressed = []
    def stop(message):
        if message["msg_type"] == "update_display_data" and not pressed:
            pressed.append(message)
            kernel[0].interrupt_kernel()
    status, messages = execute(kernel, "chat('Count')", stop)
    assert status == "ok" and not [m for m in messages if m["msg_type"] in ("error", "stream")]
    assert markdown(messages[-1]).count(" ") < 1000 and "stopped" in markdown(messages[-1])
    code = "assert chat.last.interrupted and 3 < len(chat.last.text) < 3000 and len(chat.messages) == 2\n" \
           "assert not chat('Count on', pieces=3).interrupted and len(chat.messages) == 4"
    assert execute(kernel, code)[0] == "ok"


def test_the_queue_is_shown_in_the_place_of_the_answer(kernel):
    "Another thread is before this cell: the line says so once, and the stop button works meanwhile."
    execute(kernel, slow_model + """
import threading
def ask_beside(pieces):
    begun = threading.Event()
    def read():
        for piece in Chat(chat.model).stream("Count", pieces=pieces): begun.set()
    threading.Thread(target=read).start()
    return begun
""")
    waiting = lambda messages: [m for m in messages if m["msg_type"] != "stream" and "Waiting: 1 answer before this one · ■ stops" in markdown(m)]
    status, messages = execute(kernel, "ask_beside(60).wait(); chat('Count', pieces=3)")
    assert status == "ok" and len(waiting(messages)) == 1, messages
    assert len({m["content"]["transient"]["display_id"] for m in messages}) == 1 and "0 1 2" in markdown(messages[-1])
    assert not [m for m in messages if m["msg_type"] == "stream"]
    def stop(message):
        if message["msg_type"] == "update_display_data" and waiting([message]): kernel[0].interrupt_kernel()
    status, messages = execute(kernel, "ask_beside(1000).wait(); chat('Count', pieces=3)", stop)
    assert status == "ok" and "stopped" in markdown(messages[-1]), messages
    assert execute(kernel, "assert len(chat.messages) == 2")[0] == "ok"


def test_a_reply_shows_itself_in_another_cell_only(kernel):
    execute(kernel, slow_model)
    assert len({m["content"]["transient"]["display_id"] for m in execute(kernel, "reply = chat('Count', pieces=2)\nreply")[1]}) == 1
    shown = execute(kernel, "reply")[1]
    assert [markdown(m) for m in shown] == ["0 1 "]


@pytest.mark.parametrize("code", ("reply = await chat.aprompt('Count')", "async for piece in chat.astream('Count'): pass"))
def test_the_stop_button_ends_what_is_awaited(kernel, code):
    "At once, although nothing is published meanwhile; and the conversation goes on."
    execute(kernel, slow_model)
    def stop(message):
        if message["msg_type"] == "stream": threading.Timer(0.3, kernel[0].interrupt_kernel).start()
    status, messages = execute(kernel, f"print('begun', flush=True)\n{code}", stop)
    assert status == "error" and messages[-1]["content"]["ename"] == "CancelledError"
    code = "assert chat.last.interrupted and 1 < len(chat.last.text) < 3000 and len(chat.messages) == 2\n" \
           "assert not (await chat.aprompt('Count on', pieces=3)).interrupted and len(chat.messages) == 4"
    assert execute(kernel, code)[0] == "ok"


def test_what_is_awaited_shows_itself_once(kernel):
    execute(kernel, slow_model)
    assert [markdown(message) for message in execute(kernel, "await chat.aprompt('Count', pieces=3)")[1]] == ["0 1 2 "]
    assert execute(kernel, "reply = await chat.aprompt('Count', pieces=3)")[1] == []


def test_cells_beside_an_answer(kernel):
    "A task of an earlier cell goes on, its chat says so, and what a watcher prints is shown in the cell that has asked."
    execute(kernel, slow_model)
    execute(kernel, "import asyncio\ntask = asyncio.create_task(chat.aprompt('Count', pieces=50))")
    status, messages = execute(kernel, "chat('Hello', pieces=3)")
    assert (status, messages[-1]["content"]["ename"]) == ("error", "ChatError")
    assert execute(kernel, "reply = await chat.aprompt('Next', pieces=3)\nassert task.done() and len(chat.messages) == 4 and not task.result().interrupted")[0] == "ok"
    printed = execute(kernel, "chat.watchers.append(lambda reply, delta: print('.', end=''))\nreply = await chat.aprompt('Hello', pieces=3)")[1]
    assert set("".join(message["content"]["text"] for message in printed)) == {"."}


TOOLS = """
import time
import matplotlib.pyplot as plt
from llama_nbchat import *
from llama_nbchat.local.calls import as_call
def draw():
    print("drawing")
    plt.figure().gca().plot([1, 2])
def sleep():
    for n in range(3000): time.sleep(0.01)
def asked(name, *before): return Chat(ScriptedModel([*before, as_call(name, {})], "It is done."), tools=[draw, sleep], footer=False)
"""


def last_seen(messages):
    "What stands in the cell in the end, from top to bottom."
    seen = {}
    for number, message in enumerate(messages):
        content = message["content"]
        place = content.get("transient", {}).get("display_id") or number
        seen[place] = content.get("text") or content["data"].get("text/markdown", "".join(sorted(content["data"])))
    return [text for text in seen.values() if text]


def test_what_a_tool_shows_stands_between_its_call_and_the_answer(kernel):
    execute(kernel, TOOLS)
    _, messages = execute(kernel, "reply = asked('draw')('Draw')")
    line, printed, figure, answer = last_seen(messages)
    assert "draw&#40;&#41; → done" in line and printed == "drawing\n" and "image/png" in figure
    assert "It is done." in answer and "ScriptedModel" in answer   # who answers is told again behind a call


def test_the_line_of_a_call_that_is_stopped_says_so(kernel):
    execute(kernel, TOOLS)
    manager, _ = kernel
    pressed = []
    def press(message):
        if pressed or "sleep&#40;" not in str(message["content"].get("data")): return
        pressed.append(threading.Timer(0.3, manager.interrupt_kernel))
        pressed[0].start()
    status, messages = execute(kernel, "chat = asked('sleep', 'Let me sleep.')\nreply = chat('Sleep')\nassert reply.calls[0].error == 'stopped'", press)
    assert status == "ok"
    _, line, end = last_seen(messages)
    assert "sleep&#40;&#41; · stopped</summary>" in line and "…" not in line and "stopped" in end
