"A real kernel: the messages it sends while an answer grows, and the stop button."
import time

import pytest
from jupyter_client.manager import KernelManager

slow_model = """
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
    assert 4 <= len(messages) <= 10 * seconds + 2
    texts = [markdown(m) for m in messages]
    assert texts == sorted(texts, key=len) and "98 99 " in texts[-1]


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
    assert markdown(messages[-1]).count(" ") < 1000
    code = "assert chat.last.interrupted and 3 < len(chat.last.text) < 3000 and len(chat.messages) == 2\n" \
           "assert not chat('Count on', pieces=3).interrupted and len(chat.messages) == 4"
    assert execute(kernel, code)[0] == "ok"


def test_a_reply_shows_itself_in_another_cell_only(kernel):
    execute(kernel, slow_model)
    assert len({m["content"]["transient"]["display_id"] for m in execute(kernel, "reply = chat('Count', pieces=2)\nreply")[1]}) == 1
    shown = execute(kernel, "reply")[1]
    assert [m["content"]["data"]["text/markdown"] for m in shown] == ["0 1 "]
