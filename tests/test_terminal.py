"Outside of notebooks: the text goes to standard output, as it is written."
import subprocess
import sys

import nbformat

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
