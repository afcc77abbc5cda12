"Cells that run again: a notebook that is read from top to bottom is the conversation that the model saw."
import html
import json
import os
import random

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from llama_nbchat import Chat, ScriptedModel
from tools.lab import Notebook, chromium, open_browser, open_lab

MODEL = """
from llama_nbchat import Chat, ChatModel, Delta
class Echo(ChatModel):
    "Answers with what it saw."
    def stream(self, messages, **params): yield Delta(" ".join(m["content"] for m in messages if m["role"] == "user"), finish_reason="stop")
chat = Chat(Echo())
"""


class Kernel:
    "A kernel whose front end tells the ids of the cells, and where the notebook is."
    def __init__(self, notebook):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": str(notebook)})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell, code):
        "Runs a cell; what its outputs say, in one text."
        message = self.client.session.msg("execute_request", {"code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": True}, metadata={"cellId": cell} if cell else {})
        self.client.shell_channel.send(message)
        told = []
        while True:
            reply = self.client.get_iopub_msg(timeout=60)
            if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]: continue
            kind,content = reply["msg_type"],reply["content"]
            assert kind != "error", content
            if kind == "status" and content["execution_state"] == "idle": break
            if kind == "stream": told.append(content["text"])
            if "data" in content: told.append(content["data"].get("text/markdown", content["data"].get("text/plain", "")))
        self.client.get_shell_msg(timeout=60)
        return "\n".join(told)

    def prompts(self):
        "What the conversation has been asked, as the model saw it with the last prompt, and all that can be had again."
        return json.loads(self.run(None, "import json; print(json.dumps([[t.prompt for t in chat.messages.turns], [t.prompt for t in chat.tree()]]))"))

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory): return tmp_path_factory.mktemp("rerun")/"talk.ipynb"


@pytest.fixture(scope="module")
def kernel(notebook):
    kernel = Kernel(notebook)
    yield kernel
    kernel.close()


def test_a_cell_that_runs_again_replaces_its_turn(kernel):
    kernel.run("0", MODEL)
    for n in "123": kernel.run(n, f"chat('{n}')")
    told = html.unescape(kernel.run("2", "chat('two')"))
    assert "instead of “2”" in told and "set aside 1 later turn · chat.go(chat.tree()[2]) brings it back" in told
    assert kernel.prompts() == [["1", "two"], ["1", "2", "3", "two"]]
    kernel.run("9", "_ = chat.go(chat.tree()[2])")
    assert kernel.prompts()[0] == ["1", "2", "3"]


def test_a_loop_adds_and_runs_again_as_a_whole(kernel):
    kernel.run("0", MODEL)
    for code, prompts in [("for n in range(3): chat(f'{n}')", ["0", "1", "2"]), ("for n in range(2): chat(f'again {n}')", ["again 0", "again 1"]),
        ("pieces = list(chat.stream('a')); chat.prompt('b')", ["a", "b"])]:
        kernel.run("loop", code)
        assert kernel.prompts()[0] == prompts


def test_another_answer_in_another_cell_stands_for_the_first_one(kernel):
    kernel.run("0", MODEL)
    kernel.run("1", "chat('1')"); kernel.run("2", "chat.edit('one')"); kernel.run("3", "chat('3')")
    kernel.run("1", "chat('uno')")
    assert kernel.prompts()[0] == ["uno"]


def test_what_fails_leaves_everything_as_it_was(kernel):
    kernel.run("0", MODEL)
    kernel.run("1", "chat('1')"); kernel.run("2", "chat('2')")
    kernel.run("1", "try: chat('')\nexcept Exception: pass")
    kernel.run("1", "stream = chat.stream('never read'); stream.close()")
    assert kernel.prompts()[0] == ["1", "2"]


def test_without_an_id_and_where_it_is_not_wanted_turns_are_added(kernel):
    kernel.run("0", MODEL)
    for _ in range(2): kernel.run(None, "chat('1')")
    assert kernel.prompts()[0] == ["1", "1"]
    kernel.run("0", MODEL + "chat.rerun = 'append'")
    for _ in range(2): kernel.run("1", "chat('1')")
    assert kernel.prompts()[0] == ["1", "1"]


def test_a_magic_is_a_cell_too(kernel):
    kernel.run("0", MODEL + "%load_ext llama_nbchat")
    for text in "ab": kernel.run("1", f"%%chat -n magic\n{text}")
    assert "'b'" in kernel.run("2", "%chat magic -o talk\n[turn.prompt for turn in talk.messages.turns]")


ASKING = {"call": "chat({})", "prompt": "chat.prompt({})", "stream": "list(chat.stream({}))", "aprompt": "await chat.aprompt({})",
    "astream": "[piece async for piece in chat.astream({})]", "gathered": "import asyncio; await asyncio.gather(chat.aprompt({}))"}


@pytest.mark.parametrize("how", ASKING.values(), ids=ASKING)
def test_however_it_asks(kernel, how):
    kernel.run("0", MODEL)
    for cell in "1213": kernel.run(cell, how.format(repr(cell)))
    assert kernel.prompts() == [["1", "3"], ["1", "2", "1", "3"]]
    kernel.run("1", "for n in range(3): " + how.format("f'{n}'").removeprefix("import asyncio; "))
    assert kernel.prompts()[0] == ["0", "1", "2"]


@pytest.mark.parametrize("how", [ASKING[name] for name in ("prompt", "stream", "aprompt", "astream")])
def test_what_a_cell_left_running_adds(kernel, how):
    "It replaces nothing, whichever cell runs meanwhile, and also if its own cell has run again."
    kernel.run("0", MODEL + "import asyncio\nasked,answered = asyncio.Queue(),asyncio.Queue()")
    task = f"async def work():\n while True:\n  text = await asked.get()\n  {how.format('text')}\n  answered.put_nowait(text)\ntask = asyncio.create_task(work())"
    ask = "asked.put_nowait('{}'); await answered.get()"
    kernel.run("1", "chat('first')")
    kernel.run("2", task)
    for n in range(3): kernel.run(f"{n + 3}", ask.format(n))
    assert kernel.prompts()[0] == ["first", "0", "1", "2"]
    kernel.run("2", "chat('2')")   # the task goes on
    kernel.run("3", ask.format("later"))
    assert kernel.prompts()[0] == ["first", "0", "1", "2", "2", "later"]
    kernel.run("9", "task.cancel()")


def test_two_runs_with_one_number(kernel):
    "As after %reset."
    kernel.run("0", MODEL)
    kernel.run("1", "chat('1'); number = get_ipython().execution_count")
    kernel.run("2", "shell = get_ipython(); shell.history_manager.reset(); shell.execution_count = number - 1")
    kernel.run("1", "chat('one'); assert get_ipython().execution_count == number")
    assert kernel.prompts()[0] == ["one"]


def expected(path, cell, order):
    "What a reader expects of a cell that has run before: the cells above it, in the order in which they were run, and itself."
    at = path.index(cell)
    return [other for other in path if other != cell and (order.index(other) < order.index(cell) if order else path.index(other) < at)] + [cell]


@pytest.mark.parametrize("saved", [True, False])
def test_cells_in_any_order(kernel, notebook, saved):
    "All of it is checked against a few lines: what the conversation is, and that nothing is lost."
    draw = random.Random(7)
    cells = list("abcdef")
    if saved: notebook.write_text(json.dumps({"cells": [{"id": cell} for cell in cells]}))
    elif notebook.exists(): notebook.unlink()
    for _ in range(4):
        kernel.run("0", MODEL)
        path, said = [], {}
        runs = draw.sample(cells, 6) + draw.choices(cells, k=6) + cells
        for n, cell in enumerate(runs):
            path = expected(path, cell, cells if saved else []) if cell in path else [*path, cell]
            said[cell] = f"{cell}{n}"
            kernel.run(cell, f"chat('{said[cell]}')")
            if n % 3 and n < len(runs) - 1: continue
            prompts, tree = kernel.prompts()
            assert prompts == [said[cell] for cell in path]
            assert {f"{cell}{k}" for k, cell in enumerate(runs[:n+1])} <= set(tree)
        if saved: assert path == cells   # once more from top to bottom


def test_jupyter_execute_asks_each_once(tmp_path):
    sources = [MODEL, *(f"chat('{n}')" for n in range(6)), "print([turn.prompt for turn in chat.messages.turns])"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    for _ in range(2):
        NotebookClient(notebook).execute()
        assert notebook.cells[-1].outputs[0].text.strip() == str([str(n) for n in range(6)])
    nbformat.write(notebook, tmp_path/"talk.ipynb")
    again = Chat.from_notebook(tmp_path/"talk.ipynb", ScriptedModel("x"))
    assert [turn.prompt for turn in again.messages.turns] == [str(n) for n in range(6)]


@pytest.mark.skipif(not chromium, reason="there is no chromium")
def test_in_jupyterlab(tmp_path):
    (tmp_path/"config").mkdir()
    cells = [MODEL, *(f"chat('{n}')" for n in range(6)), "print([turn.prompt for turn in chat.messages.turns])"]
    with open_lab(tmp_path, tmp_path/"config") as address, open_browser() as browser:
        notebook = Notebook(tmp_path, address, browser, "talk", cells)
        notebook.run()
        assert notebook.text(7).strip() == str([str(n) for n in range(6)])
        def run(number, source=None):
            notebook.page.evaluate("""async ([number, source]) => {
                const panel = window.jupyterapp.shell.currentWidget;
                panel.content.activeCellIndex = number;
                if (source) panel.content.widgets[number].model.sharedModel.setSource(source);
                await window.jupyterapp.commands.execute('notebook:run-cell') }""", [number, source])
        run(3, "chat('two')"); run(7)
        notebook.page.wait_for_function("() => document.body.innerText.includes(\"['0', '1', 'two']\")", timeout=30_000)
        assert "set aside 3 later turns" in notebook.text(3)
        for number in (6, 4, 5): run(number)
        notebook.run()   # all, from top to bottom
        assert notebook.text(7).strip() == str(["0", "1", "two", "3", "4", "5"])
        notebook.save()
        again = Chat.from_notebook(notebook.path, ScriptedModel("x"))
        assert [turn.prompt for turn in again.messages.turns] == ["0", "1", "two", "3", "4", "5"]
        assert again.messages.tip.text == "0 1 two 3 4 5"
        notebook.close()
