"Outside of notebooks: the text goes to standard output, as it is written."
import os
import pty
import re
import subprocess
import sys

import nbformat
import pytest

from llama_nbchat.load import demo_path
from tools.outputs import root


def test_demo():
    "`make demo`: the three turns, right, and nothing else on the screen."
    run = subprocess.run([sys.executable, "-m", "llama_nbchat.demo"], capture_output=True, text=True, cwd=root)
    assert (run.returncode, run.stderr) == (0, "")
    first, second, third = [part.split("\n\n", 1)[1].split("\n") for part in run.stdout.strip().split("> ")[1:]]
    planets = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]
    assert [line.split(". ")[1] for line in first if line] == planets
    assert [line.split(". ")[1] for line in second if line] == planets[::-1]
    assert [line for line in third if line][::7] == ["1. Mercury (0.055 Earth masses)", "8. Jupiter (317.8 Earth masses)"]


def test_text_arrives_as_it_is_written():
    "The reader of a pipe has the first word before the model has said the second."
    code = ("import sys\nfrom llama_nbchat import Chat\nclass Waits:\n"
            "    def create_chat_completion(self, messages, stream):\n"
            "        yield {'choices': [{'delta': {'content': 'first'}}]}\n"
            "        yield {'choices': [{'delta': {'content': sys.stdin.readline()}}]}\n"
            "Chat(Waits())('Hello')")
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout.read(5) == "first"
    assert process.communicate(" second", timeout=60)[0] == " second\n"


def test_ipython_shows_a_reply_once():
    code = "from llama_nbchat import *\nchat = Chat(ScriptedModel('Hello there'))\nchat('Hello?')\n"
    run = subprocess.run([sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt", "-i"], input=code,
        capture_output=True, text=True, cwd=root)
    assert run.stdout.count("Hello there") == 1, run.stdout


def interactive(program, code):
    "What an interpreter shows that is typed into."
    return subprocess.run([sys.executable, *program], input=code, capture_output=True, text=True, cwd=root).stdout


CHAT = "from llama_nbchat import *\nchat = Chat(ScriptedModel('Hello there', 'Good night'))\n"
IPYTHON = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt", "-i"]


def test_an_interpreter_shows_an_answer_once():
    "No sign of the object, no `Out` without a value; the value is kept, and shown when it is asked for."
    for program in (["-i", "-q"], IPYTHON):
        shown = interactive(program, CHAT + "chat('Hello?')\n_.finish_reason\n")
        assert shown.count("Hello there") == 1 and "<Reply" not in shown and "'stop'" in shown, shown
        assert "Out[3]" not in shown
    shown = interactive(IPYTHON, CHAT + "chat('Hello?')\nOut[3].text\n3 + 4\n")
    assert shown.count("Hello there") == 2 and "Out[5]: 7" in shown, shown
    shown = interactive(["-i", "-q"], CHAT + "reply = chat('Hello?')\n3 + 4\nreply\nreply.text\n")
    assert shown.count("Hello there") == 3 and "7" in shown, shown   # written, as a value, and its text


@pytest.mark.parametrize("line", ("print(chat('Hello?'))", "print(chat('Hello?'), end='')", "def ask(): return chat('Hello?')\nprint(ask())", "print(chat.prompt_stream('Hello?'))",
    "chat('Hello?'); print(chat.retry())"))
def test_print_shows_an_answer_once(line):
    shown = subprocess.run([sys.executable, "-c", CHAT + line], capture_output=True, text=True, cwd=root).stdout
    assert (shown.count("Hello there"), shown.count("Good night")) == (1, "retry" in line), shown


def in_a_terminal(code):
    "All that a program writes there."
    master, slave = pty.openpty()
    run = subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, cwd=root, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    seen = b""
    while True:
        try: more = os.read(master, 4096)
        except OSError: break
        if not more: break
        seen += more
    os.close(master)
    assert run.wait(60) == 0, seen
    return seen.decode()


def test_a_terminal_shows_the_queue():
    "The sign before the line turns meanwhile; nothing of it is left below the answer."
    code = CHAT + """
import threading
begun, go_on = threading.Event(), threading.Event()
def first():
    answer = Chat(chat.model).stream("Hello?")
    next(answer)
    begun.set()
    go_on.wait()
    list(answer)
thread = threading.Thread(target=first)
thread.start()
begun.wait()
threading.Timer(0.5, go_on.set).start()
chat("Hello?")
thread.join()
"""
    *lines, answer = re.sub("\x1b\\[[02]m", "", in_a_terminal(code)).split("\x1b[K")   # each ends with the way back
    waiting = [line for line in lines if "Waiting" in line]
    assert answer.splitlines()[0] == "Good night"
    signs = [line[0] for line in waiting]
    assert len(signs) > 1 and len({*signs[:3]}) == len(signs[:3]), signs
    assert {line[1:].partition("\x1b")[0] for line in waiting} == {" Waiting: 1 answer before this one · Ctrl+C stops"}


def test_a_terminal_is_told_what_is_waited_for(tmp_path):
    "Waiting, reasoning in a fainter colour, the text, its colours at the end of a line, and the note: in a real terminal."
    code = CHAT.replace("'Hello there'", "'<think>They say hello.</think># Hello\\n\\nthere'") + "chat.footer = True\nchat('Hello?')\n"
    seen = in_a_terminal(code)
    assert "Ctrl+C stops" in seen and "\x1b[2mThey" in seen and "\x1b[01m# Hello" in seen and "(5 tokens" in seen, seen
    seen = re.sub("\x1b\\[2m[^\x1b]*\x1b\\[0m\x1b\\[\\d+D\x1b\\[K", "", seen)   # what was written and taken back
    lines = [re.sub("\x1b\\[[0-9;]*[mK]", "", line.rstrip("\r").split("\r")[-1]) for line in seen.split("\n")]
    assert lines[:6] == ["They say hello.", "", "# Hello", "", "there", ""], lines


def test_jupyter_execute(tmp_path):
    "Nobody looks at the page, and the file holds the reply."
    path = tmp_path/"chat.ipynb"
    code = "from llama_nbchat import *\nChat(ScriptedModel('Hello *there*'))('Hello?')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, path)
    subprocess.run([sys.executable, "-m", "jupyter", "execute", "--inplace", "--kernel_name=python3", path], capture_output=True, check=True, cwd=root)
    output, = nbformat.read(path, as_version=4).cells[0].outputs
    assert output.data["text/plain"] == "Hello *there*" and "Hello *there*" in output.data["text/markdown"]


def test_redirected_output_is_the_text():
    code = "from llama_nbchat import *\nchat = Chat(ScriptedModel('<think>Hm.</think>Hello\\x1b[1m'))\nchat('Hello?')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (run.stdout, run.stderr) == ("Hello\x1b[1m\n", "")


def test_nothing_but_the_error_is_said(tmp_path):
    "A model file that llama.cpp refuses: it prints nothing, neither do we; the error tells."
    broken = tmp_path/"broken.gguf"
    broken.write_bytes(demo_path().read_bytes().replace(b"llama", b"lamma", 1))
    code = f"from llama_nbchat import *\ntry: load({str(broken)!r})\nexcept ModelFileError as error: print(error)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert run.stderr == "" and "unknown model architecture" in run.stdout and run.stdout.count("\n") == 1


def test_a_reader_who_leaves():
    "`python -m llama_nbchat.demo | head -3` ends quietly."
    demo = subprocess.Popen([sys.executable, "-m", "llama_nbchat.demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root)
    demo.stdout.readline()
    demo.stdout.close()
    assert demo.stderr.read() == b"" and demo.wait(60) in (0, 1)
    demo.stderr.close()
