"While a model is loaded: how far it is, a stop, memory that will not do, packages that are not there."
import io
import os
import signal
import subprocess
import sys
import warnings

import pytest

import llama_nbchat.display as display
import llama_nbchat.local.opening as opening
from llama_nbchat import Chat, load
from llama_nbchat.found import demo_path
from llama_nbchat.local.gguf import read_header


def test_progress_comes_from_llama_cpp(monkeypatch):
    seen = []
    monkeypatch.setattr(display._Bar, "__call__", lambda bar, done: seen.append(done))
    load()
    assert seen == sorted(seen) and len(seen) > 10 and seen[-1] == 1


@pytest.mark.parametrize("share", (0, 0.3, 0.99))
def test_an_interrupt_gives_up_cleanly(monkeypatch, share):
    "At any time: `KeyboardInterrupt`, nothing is printed, and the next load works."
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    def press(bar, done):
        if done >= share and not pressed: pressed.append(os.kill(os.getpid(), signal.SIGINT))
    pressed = []
    try:
        with monkeypatch.context() as patched:
            patched.setattr(display._Bar, "__call__", press)
            with pytest.raises(KeyboardInterrupt): load()
        assert Chat(load(), temperature=0)("Name the planets").text
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally: signal.signal(signal.SIGINT, usual)


def test_a_bar_that_fails_costs_nothing(monkeypatch):
    def fail(bar, done): raise OSError("closed")
    monkeypatch.setattr(display._Bar, "__call__", fail)
    assert load().name


def test_memory_is_reckoned_before(monkeypatch):
    monkeypatch.setattr(opening, "_free_memory", lambda: 12_000_000)
    with pytest.warns(UserWarning, match=r"planets.gguf will take about .* MB.*12 MB are free. With n_ctx=\d+ it would fit"):
        load(demo_path(), n_ctx=2048)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(demo_path(), n_ctx=256)
        monkeypatch.setattr(opening, "_free_memory", lambda: None)
        load(demo_path(), n_ctx=2048)


def test_what_a_token_takes_is_what_llama_cpp_takes():
    "The memory of a conversation as reckoned, against the state that llama.cpp writes."
    import llama_cpp
    engine = load(demo_path(), n_ctx=2048)
    sizes = []
    for n in (200, 1200):
        engine.llm.reset()
        engine.llm.eval([1] + [5] * (n - 1))
        sizes.append(llama_cpp.llama_state_seq_get_size(engine.llm._ctx.ctx, 0))
    each = (sizes[1] - sizes[0]) / 1000
    assert abs(opening._bytes_of_cache(read_header(demo_path())) / each - 1) < 0.05, each


def python(code, **env):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env})


def test_without_llama_cpp():
    "An error that says what to type; and what needs no llama.cpp works."
    code = ("import sys\nsys.modules['llama_cpp'] = None\nfrom llama_nbchat import *\n"
            "print(Chat(ScriptedModel('Hello'))('Hi').text)\n"
            "for use in (load, Chat):\n    try: use()\n    except ImportError as error: print(type(error).__name__, error)\n")
    said = python(code).stdout
    assert said.count("NotInstalledError") == 2 and said.count("pip install llama-cpp-python --only-binary") == 2, said


def test_doctor():
    run = subprocess.run([sys.executable, "-m", "llama_nbchat.doctor"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    assert "demo" in run.stdout and run.stdout.strip().splitlines()[-1].startswith("Type  ")
    without = python("import sys, runpy\nsys.modules['llama_cpp'] = None\nrunpy.run_module('llama_nbchat.doctor', run_name='__main__')").stdout
    assert "--only-binary llama-cpp-python" in without.splitlines()[-1], without


def doctor(*words, **env):
    return subprocess.run([sys.executable, "-m", "llama_nbchat.doctor", *words], capture_output=True, text=True, env={**os.environ, **env})


def test_doctor_shows_names_in_one_line(tmp_path):
    "Whatever a file or a folder is called, the report has the lines that it should have, and moves no cursor."
    clean = doctor(HOME=str(tmp_path)).stdout
    names = ["esc\x1b[2Jape", "new\nline", "return\rline", "tab\tname", "bell\x07", "c1\x9b31m", "line\u2028sep\x85"]
    for name in names: (tmp_path/f"{name}.gguf").write_bytes(demo_path().read_bytes() + name.encode())
    for name in names: (tmp_path/f"{name} broken.gguf").write_bytes(b"")
    run = doctor(HOME=str(tmp_path), LLAMA_NBCHAT_MODELS=os.pathsep.join((str(tmp_path), "/mo\x1b\ndles")))
    assert run.returncode == 0 and run.stderr == ""
    assert not [sign for sign in run.stdout if not sign.isprintable() and sign != "\n"], run.stdout
    assert len(run.stdout.splitlines()) == len(clean.splitlines()) + len(names) + 1, run.stdout   # a line for each broken one, and a note
    assert "not there" in run.stdout and run.stdout.splitlines()[-1].startswith("Type  ")


def test_doctor_says_how_it_is_asked():
    for word in ("--help", "-h"):
        run = doctor(word)
        assert run.returncode == 0 and "usage: python -m llama_nbchat.doctor" in run.stdout and "what is found" in run.stdout
    for words in (("--verbose",), ("models",), ("--model", "x")):
        run = doctor(*words)
        assert run.returncode == 2 and "unrecognized arguments" in run.stderr and run.stdout == ""


def test_terminal_shows_a_bar_and_removes_it(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self): return True
    terminal, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    with display.loading("a\x1b[31m.gguf", clock=lambda: now[0]) as progress:
        for n in range(100):
            now[0] += 0.05
            progress(n / 100)
    shown = terminal.getvalue()
    assert "Loading" in shown and "\x1b" not in shown and shown.count("Loading") < 60 and shown.endswith(" \r")
