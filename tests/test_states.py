"States on disk: the old one or the new one is there, nobody else's file is touched, and no file can do harm."
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from tools.benchmarks.random_model import make_hybrid, make_recurrent, make_sliding
import llama_nbchat
from llama_nbchat import StateError, load
from llama_nbchat.local import saved
from llama_nbchat.local.saved import read_state, write_state

package = Path(llama_nbchat.__file__).parent
BEGIN = [{"role": "user", "content": "Name the planets"}]


def ask(engine, messages=BEGIN, **params):
    deltas = list(engine.stream(messages, **{"temperature": 0, "max_tokens": 60, **params}))
    return "".join(delta.text for delta in deltas), deltas[-1].usage


def talked(engine, turns=2):
    "The messages of a conversation that the engine has just had."
    messages = []
    for question in ("Name the planets", "Reverse the list", "Thanks")[:turns]:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": ask(engine, messages)[0]})
    return messages


@pytest.fixture(scope="module")
def engine(): return load(n_ctx=1024, n_threads=1, n_threads_batch=1)


@pytest.fixture
def state(engine, tmp_path):
    "A saved state, and the messages of its conversation."
    messages = talked(engine)
    engine.save_state(tmp_path/"talk")
    return tmp_path/"talk", messages


def fresh(): return load(n_ctx=1024, n_threads=1, n_threads_batch=1)


def memory(engine):
    "What an engine knows."
    return (list(engine.transcripts.known.items()), [(list(tokens), bytes(state)) for tokens, state in engine.states.kept])


# Writing

def test_files_of_others_are_left_alone(engine, tmp_path):
    "Whatever lies beside a state, and wherever links lead."
    ask(engine)
    names = ("talk.part", "talk.tmp", "talk~", ".talk.part", "talk.new", "other")
    for name in names: (tmp_path/name).write_text("mine")
    for name in ("talk.part", ".talk.part"):
        (tmp_path/name).unlink()
        (tmp_path/name).symlink_to(tmp_path/"other")
    for _ in range(2): engine.save_state(tmp_path/"talk")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "talk"])
    assert all((tmp_path/name).read_text() == "mine" for name in names)


def test_the_name_beside_cannot_be_guessed(engine, tmp_path, monkeypatch):
    "Each time another one, made only where there is nothing, in the same folder, and not longer for a long name."
    made, usual = [], os.open
    def opened(path, flags, *rest):
        if flags & os.O_CREAT: made.append((path, flags))
        return usual(path, flags, *rest)
    monkeypatch.setattr(saved.os, "open", opened)
    ask(engine)
    for name in ("talk", "talk", "n" * 255): engine.save_state(tmp_path/name)
    assert len({path for path, _ in made}) == 3 and all(flags & os.O_EXCL for _, flags in made)
    assert {os.path.dirname(path) for path, _ in made} == {str(tmp_path)}
    fresh().load_state(tmp_path/("n" * 255))


def things(folder):
    "What is no file, by kind."
    (folder/"folder").mkdir()
    os.mkfifo(folder/"pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder/"socket"))
    server.close()
    if os.geteuid() == 0:
        with suppress(PermissionError): os.mknod(folder/"device", 0o666 | stat.S_IFCHR, os.makedev(1, 3))   # another /dev/null
    return sorted(folder.iterdir())


def test_what_is_no_file_is_refused(engine, tmp_path):
    "By both, at once, and stays what it was."
    ask(engine)
    for path in [*things(tmp_path), Path("/dev/null"), Path("/dev/zero"), Path("/dev/stdin")]:
        before, begin = os.lstat(path), time.monotonic()
        if not path.is_symlink():
            with pytest.raises(StateError, match="can't be written: it is (a folder|not a regular file)") as caught: engine.save_state(path)
            assert caught.value.path == str(path)
        if not path.is_file():
            with pytest.raises(StateError, match="can't be read"): engine.load_state(path)
        after = os.lstat(path)
        assert (before.st_mode, before.st_ino, before.st_rdev) == (after.st_mode, after.st_ino, after.st_rdev)
        assert time.monotonic() - begin < 5
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_a_link_is_replaced_and_not_followed(engine, tmp_path):
    ask(engine)
    (tmp_path/"mine").write_text("mine")
    (tmp_path/"folder").mkdir()
    for target in ("mine", "folder", "nowhere", "/dev/null"):
        (tmp_path/"talk").symlink_to(tmp_path/target)
        engine.save_state(tmp_path/"talk")
        assert not (tmp_path/"talk").is_symlink()
        fresh().load_state(tmp_path/"talk")
        (tmp_path/"talk").unlink()
    assert (tmp_path/"mine").read_text() == "mine" and not (tmp_path/"nowhere").exists() and stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("umask", (0o022, 0o077, 0o002))
def test_who_may_read_a_state(engine, tmp_path, umask):
    "A new one whoever the umask allows; who could not read the old one can't read what replaces it."
    ask(engine)
    before = os.umask(umask)
    try:
        engine.save_state(tmp_path/"new")
        assert stat.S_IMODE(os.stat(tmp_path/"new").st_mode) == 0o666 & ~umask
        for mode in (0o600, 0o640, 0o666, 0o400):
            (tmp_path/"old").write_text("")
            os.chmod(tmp_path/"old", mode)
            engine.save_state(tmp_path/"old")
            assert stat.S_IMODE(os.stat(tmp_path/"old").st_mode) == mode
            os.unlink(tmp_path/"old")
    finally: os.umask(before)


@pytest.mark.parametrize("fails", ("open", "fchmod", "fsync", "replace"))
@pytest.mark.parametrize("error", (OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()))
def test_what_fails_leaves_the_old_file(engine, tmp_path, monkeypatch, fails, error):
    ask(engine)
    (tmp_path/"talk").write_text("old")
    def broken(*what): raise error
    with monkeypatch.context() as patched:
        patched.setattr(saved.os, fails, broken)
        with pytest.raises(StateError if isinstance(error, OSError) else type(error)): engine.save_state(tmp_path/"talk")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("talk", "old")]
    engine.save_state(tmp_path/"talk")


def test_a_full_disk(engine, tmp_path):
    "A real limit on the size of files: the old state stays, and nothing else."
    import resource
    ask(engine)
    engine.save_state(tmp_path/"talk")
    before, limits, handler = (tmp_path/"talk").read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, limits[1]))
    try:
        with pytest.raises(StateError, match="can't be written: File too large"): engine.save_state(tmp_path/"talk")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


NO_PATHS = (None, 5, 2.5, True, "", b"talk", b"", "a\0b", "n" * 256, "n/" * 5000, "\ud800", [], {}, object(), Path("a\0b"), Path)


@pytest.mark.parametrize("path", NO_PATHS, ids=lambda path: repr(path)[:20])
def test_paths_that_are_none(engine, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ask(engine)
    for attempt in (engine.save_state, engine.load_state):
        with pytest.raises(StateError, match="can't be (written|read)") as caught: attempt(path)
        assert len(str(caught.value)) < 500
    assert not list(tmp_path.iterdir())


PROCESS = """
import sys
from llama_nbchat import *
from llama_nbchat.local.saved import read_state, write_state
path, n = sys.argv[1], int(sys.argv[2])
about, state = {"tokens": [n] * 2000}, bytes([n]) * 300_000
write_state(path, about, state)
print("ready", flush=True)
sys.stdin.readline()
failed = 0
for _ in range(150):
    try:
        write_state(path, about, state)
        other, content = read_state(path, 10**6)
        assert set(content) == {other["tokens"][0]} and len(content) == 300_000
    except StateError as error: print(error, file=sys.stderr); failed += 1
print(failed)
"""


def test_several_processes_at_one_path(tmp_path):
    "Each save and each load succeeds, and what is read is what one of them has written, as a whole."
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path/"talk"), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=package.parent) for n in range(1, 5)]
    for process in processes: assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes: process.stdin.write("go\n"), process.stdin.flush()
    for process in processes: assert process.communicate(timeout=120) == ("0\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["talk"]


def test_engines_of_two_processes_at_one_path(tmp_path):
    "The same with engines, which load what the other one has saved."
    code = """
import sys
from llama_nbchat import *
engine, path = load(n_ctx=512, n_threads=1, n_threads_batch=1), sys.argv[1]
list(engine.stream([dict(role="user", content=sys.argv[2])], temperature=0, max_tokens=20))
for _ in range(40):
    engine.save_state(path)
    engine.load_state(path)
print("well")
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path/"talk"), text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=package.parent) for text in ("Name the planets", "Hello")]
    assert [process.communicate(timeout=120) for process in processes] == [("well\n", "")] * 2


def test_a_process_that_is_killed_while_it_saves(tmp_path):
    "The state is always one that was saved as a whole."
    for n in range(6):
        process = subprocess.Popen([sys.executable, "-c", PROCESS.replace("range(150)", "range(10**6)"), str(tmp_path/"talk"), "7"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=package.parent)
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n"), process.stdin.flush()
        time.sleep(0.02 + n * 0.007)
        process.kill()
        process.communicate(timeout=60)
        assert read_state(tmp_path/"talk", 10**6) == ({"tokens": [7] * 2000}, b"\7" * 300_000)


# Reading

def test_what_is_loaded_goes_on(engine, state):
    path, messages = state
    later = fresh()
    later.load_state(path)
    text, usage = ask(later, [*messages, {"role": "user", "content": "Thanks"}])
    assert (text, usage.cached_tokens) == (ask(engine, [*messages, {"role": "user", "content": "Thanks"}])[0], len(read_state(path, 10**9)[0]["tokens"]))


def test_what_was_in_the_cache_is_put_aside(state):
    "Loading a state costs the conversation nothing that was going on."
    later, mine = fresh(), [{"role": "user", "content": "Tell me more about Mars and about its moons, please"}]
    ask(later, mine)
    later.load_state(state[0])
    assert ask(later, mine)[1].evaluated_tokens == 1


def test_a_large_file_costs_no_memory(engine, tmp_path):
    "Two gigabytes without anything in them, with each kind of beginning: an error at once."
    sizes = 2**31 - 10
    for line in (b"", b"llama_nbchat state 2 0 10 %d\n" % sizes, b"llama_nbchat state 2 0 %d 10\n" % sizes, b"llama_nbchat state 1 0\n",
            b"llama_nbchat state 2 0 10 10\n", b"llama_nbchat state 2 0 10 " + b"9" * 60, b"llama_nbchat state 2 0 -10 %d\n" % (2**31 + 10)):
        with (tmp_path/"large").open("wb") as file:
            file.write(line)
            file.truncate(len(line) + 2**31)
        tracemalloc.start()
        begin = time.monotonic()
        with pytest.raises(StateError): engine.load_state(tmp_path/"large")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5e6 and time.monotonic() - begin < 2, line


def test_pipes_do_not_wait(engine, tmp_path):
    "Also if the file becomes a pipe after it was looked at."
    os.mkfifo(tmp_path/"pipe")
    usual, looked = os.stat, []
    (tmp_path/"file").write_text("")
    def stat_of(path, **how): return looked.append(path) or usual(tmp_path/"file" if str(path) == str(tmp_path/"pipe") else path, **how)
    def alarm(*what): raise TimeoutError
    before = signal.signal(signal.SIGALRM, alarm)
    saved.os.stat = stat_of
    try:
        signal.setitimer(signal.ITIMER_REAL, 5)
        with pytest.raises(StateError, match="not a regular file"): engine.load_state(tmp_path/"pipe")
    finally:
        saved.os.stat = usual
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert looked


def test_states_of_an_older_version(engine, state):
    "Say so, whatever comes after their first words."
    path, _ = state
    for version in (b"1", b"0", b"3", b"22", b"", b"x" * 200):
        path.write_bytes(b"llama_nbchat state %b 12345\n" % version + b"{}")
        with pytest.raises(StateError, match="another version|not a saved state"): engine.load_state(path)
    path.write_bytes(b"llama_nbchat state 1 12345\n{}\n")
    with pytest.raises(StateError, match="another version of llama_nbchat"): engine.load_state(path)


def with_checksum(about, state):
    "A file that is right from the outside."
    return b"llama_nbchat state 2 %d %d %d\n" % (zlib.crc32(state, zlib.crc32(about)), len(about), len(state)) + about + state


STRANGE = (None, True, False, 0, 1, -1, 2**63, 10**400, 1.5, float("nan"), float("inf"), "", "x", "\ud800", [], [[]], {}, {"": {}}, [None], ["x"], [1.5], [-1],
    [True], [10**9], [[1]], [{}], [["a", "b", 0, 0, []]] * 3, "n" * 10000, [0] * 5000)


def places(value, path=()):
    "The way to each thing within."
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items: yield from places(inner, (*path, key))


def changed(value, path, new):
    "A copy with something else in that place; `...`: without it."
    if not path: return new
    value, (key, *rest) = value.copy(), path
    if rest or new is not ...: value[key] = changed(value[key], rest, new)
    else: del value[key]
    return value


def mutants(about, rng, n):
    "What might stand in the place of what a state is about."
    known = list(places(about))
    for _ in range(n):
        mutant = about
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            short = [path for path in known if len(path) < 3 or path[0] != "tokens"]
            path = rng.choice(short if rng.random() < 0.9 else known)
            with suppress(KeyError, IndexError, TypeError, AttributeError): mutant = changed(mutant, path, rng.choice((*STRANGE, ...)))
        yield mutant if mutant is not ... else None


def bombs():
    "Texts that are hard to read, and that are none."
    yield from (b"[" * 10**6, b'{"a":' * 10**6, b"[" * 10**6 + b"]" * 10**6, b'{"tokens":' + b"[" * 5000 + b"]" * 5000 + b"}", b"9" * 10**6, b"[" + b"9" * 10**5 + b"]",
        b"", b"null", b"[]", b"\xff\xfe", b"\x00" * 100, b'"\\ud800"', b"\xed\xa0\x80", b"{}", b'{"fingerprint": {}}', b"NaN", '{"a": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}", b"{} {}", b"{'a': 1}")


def refused(engine, path):
    "Loads it; whether it was refused. What is refused changes nothing, and any error but a `StateError` gets out."
    before = memory(engine)
    try: engine.load_state(path)
    except StateError as error:
        assert error.path == str(path) and str(path) in str(error)
        assert memory(engine)[0] == before[0]
        assert [kept for kept in before[1] if kept not in memory(engine)[1]] == []
        return True
    return False


def test_a_right_checksum_over_wrong_content(engine, state):
    "At every level of what a state is about: refused or harmless, and never half taken over."
    path, messages = state
    about, content = read_state(path, 10**9)
    rng, later, followed = random.Random(0), fresh(), [*messages, {"role": "user", "content": "Thanks"}]
    expected, taken = ask(engine, followed)[0], 0
    for bomb in bombs():
        path.write_bytes(with_checksum(bomb, content))
        assert refused(later, path), bomb[:20]
    for n, mutant in enumerate(mutants(about, rng, 1500)):
        path.write_bytes(with_checksum(json.dumps(mutant).encode(), content))
        if refused(later, path): continue
        taken += 1      # an answer or a prompt that is another text, for instance: it is simply not found
        if taken % 10 == 0:
            assert ask(later, followed)[0], mutant
            later = fresh()
    assert 0 < taken < 500
    later = fresh()
    assert ask(later, followed)[0] == expected


WRONG = {"no tokens": lambda a: a | {"tokens": []}, "other tokens": lambda a: a | {"tokens": a["tokens"][1:]}, "one more": lambda a: a | {"tokens": a["tokens"] + [5]},
    "tokens out of the vocabulary": lambda a: a | {"tokens": [*a["tokens"][:-1], 1024]}, "negative tokens": lambda a: a | {"tokens": [-1, *a["tokens"][1:]]},
    "truths for tokens": lambda a: a | {"tokens": [True, *a["tokens"][1:]]}, "floats for tokens": lambda a: a | {"tokens": [float(t) for t in a["tokens"]]},
    "a text for tokens": lambda a: a | {"tokens": "x" * len(a["tokens"])}, "too many tokens": lambda a: a | {"tokens": a["tokens"] * 1000},
    "no fingerprint": lambda a: {k: v for k, v in a.items() if k != "fingerprint"}, "a list as fingerprint": lambda a: a | {"fingerprint": [1]},
    "transcripts missing": lambda a: {k: v for k, v in a.items() if k != "transcripts"}, "a dict of transcripts": lambda a: a | {"transcripts": {}},
    **{f"in a transcript, {n} is {new!r}": (lambda a, n=n, new=new: a | {"transcripts": [*a["transcripts"][:-1], [*a["transcripts"][-1][:n], new, *a["transcripts"][-1][n + 1:]]]})
        for n, new in [(0, None), (0, 5), (1, None), (1, []), (2, -1), (2, 10**6), (2, "1"), (2, True), (2, 1.0), (3, -1), (3, 10**6), (3, None), (4, None), (4, [1, 2]), (4, ["x"]),
            (4, [-1]), (4, [1024]), (4, [True]), (4, {})]},
    "a short transcript": lambda a: a | {"transcripts": [["a", "b"]]}, "a long transcript": lambda a: a | {"transcripts": [[*a["transcripts"][-1], 1]]}}


@pytest.mark.parametrize("kind", WRONG)
def test_each_thing_that_is_wrong_is_refused(engine, state, kind):
    path, _ = state
    about, content = read_state(path, 10**9)
    later = fresh()
    path.write_bytes(with_checksum(json.dumps(about).encode(), content))
    assert not refused(later, path)
    path.write_bytes(with_checksum(json.dumps(WRONG[kind](about)).encode(), content))
    assert refused(fresh(), path)
    assert refused(later, path)


@pytest.mark.parametrize("what", ("model", "library", "settings", "n_ctx", "lora"))
def test_a_state_of_something_else(engine, state, what):
    path, _ = state
    about, content = read_state(path, 10**9)
    for new in (None, [], {}, "x", 5):
        write_state(path, about | {"fingerprint": about["fingerprint"] | {what: new}}, content)
        with pytest.raises(StateError, match=f"another {what}"): engine.load_state(path)


KINDS = {"plain": None, "recurrent": make_recurrent, "hybrid": make_hybrid, "sliding": make_sliding}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_states_with_a_right_checksum(tmp_path, kind):
    "In a process of its own, which llama.cpp must not bring down: refused, or the next answer is one; the one after it is right."
    if KINDS[kind]: KINDS[kind](tmp_path/"model.gguf")
    code = """
import json, random, struct, sys
from llama_nbchat import *
from llama_nbchat.local.saved import read_state, write_state
folder, kind = sys.argv[1:]
engine = load(None if kind == "plain" else folder + "/model.gguf", n_ctx=512, n_threads=1, n_threads_batch=1, **(dict(swa_full=False) if kind == "sliding" else {}))
def ask(text): return "".join(d.text for d in engine.stream([dict(role="user", content=text)], temperature=0, max_tokens=8))
expected, rng, refused, path = ask("Name the planets"), random.Random(0), 0, folder + "/talk"
engine.save_state(path)
about, good = read_state(path, 10**9)
n, strange = len(about["tokens"]), [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 511, 512, 513]
def attempt(state):
    global refused
    write_state(path, about, bytes(state))
    engine.states.kept.clear()
    try: engine.load_state(path)
    except StateError:
        refused += 1
        assert bytes(state) == good or bytes(state) not in [kept for _, kept in engine.states.kept]
    ask("Name the planets")
    engine.states.kept.clear()
    engine.decoder.trim(0)
for size in (0, 1, 4, 8, 12, 16, 20, len(good) // 2, len(good) - 1):
    before = refused
    attempt(good[:size])
    assert refused == before + 1, size
for more in (b"x", bytes(1000)):
    before = refused
    attempt(good + more)
    assert refused == before + 1, more
for _ in range(250):
    state = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(min(len(state), 60 + 12 * n)) if rng.random() < 0.7 else rng.randrange(len(state))
        how = rng.randrange(4)
        if how == 0: state[at] = rng.randrange(256)
        elif how == 1: state[at // 4 * 4:at // 4 * 4 + 4] = struct.pack("<I", rng.choice([*strange, n - 1, n, n + 1]))
        elif how == 2: state[at:] = bytes([255]) * (len(state) - at)
        else: state[at:at + 8] = state[rng.randrange(len(state)):][:8]
    attempt(state)
    assert ask("Name the planets") == expected     # nothing has stayed, such as what is no number
    engine.decoder.trim(0)
print("alive", refused > 60)
"""
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code, str(tmp_path), kind], capture_output=True, text=True, timeout=300, cwd=package.parent)
    assert (done.stdout, done.returncode) == ("alive True\n", 0), done.stderr[-2000:]


def test_positions_that_do_not_fit(engine, state):
    "llama.cpp takes tokens at any places; such a state would answer something else without a word."
    import struct
    path, _ = state
    about, good = read_state(path, 10**9)
    n = len(about["tokens"])
    def at(places): return good[:16] + b"".join(struct.pack("<i", place) + good[20 + 12 * k:28 + 12 * k] for k, place in enumerate(places)) + good[16 + 12 * n:]
    assert at(range(n)) == good
    later = fresh()
    for places in (range(1, n + 1), [n - 1] * n, range(2**31 - 1 - n, 2**31 - 1), range(-1, n - 1), [0] * n):
        write_state(path, about, at(places))
        with pytest.raises(StateError, match="llama.cpp does not take it"): later.load_state(path)
    write_state(path, about, good)
    later.load_state(path)


def test_bytes_changed_without_the_checksum(engine, state):
    path, _ = state
    good, rng, later = path.read_bytes(), random.Random(1), fresh()
    for n in range(300):
        bad = bytearray(good)
        at = rng.randrange(len(bad)) if n % 2 else rng.randrange(60)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad if n % 3 else bad[:at])
        assert refused(later, path), at
    assert memory(later) == ([], [])


def test_a_long_conversation_saves_its_latest_transcripts(tmp_path, monkeypatch):
    "As far as there is room for them; what is left out is only evaluated again where it is asked for."
    engine, later = fresh(), fresh()
    messages = talked(engine, 3)
    room = sum(map(len, list(engine.transcripts.known)[-1])) + 100
    monkeypatch.setattr("llama_nbchat.local.states._TRANSCRIPT_CHARACTERS", room)
    engine.save_state(tmp_path/"talk")
    kept = read_state(tmp_path/"talk", 10**9)[0]["transcripts"]
    assert 0 < len(kept) < 3 and sum(len(prompt) + len(answer) for prompt, answer, *_ in kept) <= room
    later.load_state(tmp_path/"talk")
    following = [*messages, {"role": "user", "content": "And Mars?"}]
    assert ask(later, following) == ask(engine, following)


def test_odd_texts_come_back(tmp_path):
    "Lone halves of characters, controls and other scripts in a transcript."
    engine, later, odd = fresh(), fresh(), [{"role": "user", "content": "é 漢字 🙂 \x00\x1b \u2028 \ufffd"}]
    text, _ = ask(engine, odd)
    engine.transcripts.add("\ud800 prompt", "\udc00", 1, list(engine.decoder.tokens))
    engine.save_state(tmp_path/"talk")
    later.load_state(tmp_path/"talk")
    assert later.transcripts.known == engine.transcripts.known
    following = [*odd, {"role": "assistant", "content": text}, {"role": "user", "content": "And?"}]
    assert ask(later, following) == ask(engine, following)


def test_saving_nothing_leaves_no_file(tmp_path):
    with pytest.raises(StateError, match="nothing to save yet"): fresh().save_state(tmp_path/"talk")
    assert not list(tmp_path.iterdir())


def test_a_model_file_that_has_gone(tmp_path):
    shutil.copy(package/"demo"/"planets.gguf", tmp_path/"model.gguf")
    engine = load(tmp_path/"model.gguf", n_ctx=512)
    ask(engine)
    engine.save_state(tmp_path/"talk")
    (tmp_path/"model.gguf").unlink()
    for attempt in (engine.save_state, engine.load_state):
        with pytest.raises(StateError, match="model's file"): attempt(tmp_path/"talk")
    (tmp_path/"model.gguf").mkdir()
    with pytest.raises(StateError, match="model's file"): engine.load_state(tmp_path/"talk")
