"A store of conversations: nothing is lost, whoever dies; all is found, whatever is typed; and what is forgotten is gone."
import contextlib
import json
import os
import random
import signal
import sqlite3
import string
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from llama_nbchat import Chat, ChatError, ChatModel, ChatStore, ConversationFileError, Delta, ModelNotFoundError, NotInstalledError, ScriptedModel, Tools, Usage, database, store as room
from llama_nbchat.document import document_of
from llama_nbchat.local.calls import as_call
from tests.conftest import EVERY_MOMENT, moments


@pytest.fixture(autouse=True)
def quiet(monkeypatch, capsys): monkeypatch.setattr(Chat, "footer", False)


@pytest.fixture
def path(tmp_path): return tmp_path/"chats.db"


@pytest.fixture
def store(path): return ChatStore(path)


class Numbers(ChatModel):
    "Says another number each time, and can go on with one that was cut."
    can = frozenset({"resume", "tools"})
    said = 0

    def stream(self, messages, **params):
        Numbers.said += 1
        if params.get("calls", 0) > sum(message["role"] == "tool" for message in messages[-4:]):
            yield Delta(tool_calls=tuple(as_call(name, {"said": Numbers.said}) for name in params["names"]))
            return
        yield Delta(reasoning=f"thought {Numbers.said} ")
        yield Delta(f"number {Numbers.said}", usage=Usage(9, 3, 2))
        if params.get("fails"): raise OSError("the disk is gone")
        yield Delta(params.get("more", "!"), finish_reason=params.get("ends", "stop"))


def files(path): return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
def holds(path, text): return any(text.encode() in file.read_bytes() for file in files(path))
def texts(chat): return [message["content"] for message in chat.messages]


def python(program, *args, **options):
    "A Python of its own that runs a program."
    return subprocess.Popen([sys.executable, "-c", program, *map(str, args)], stdout=subprocess.PIPE, text=True, **options)


# What comes out is what went in

def do_something(chat, chance):
    "One of all that can happen to a conversation."
    asked = f"question {chance.randrange(10**6)} ü 太阳 \ud83d" if chance.random() < 0.1 else f"question {chance.randrange(10**6)}"
    turns = [turn for turn in chat.messages.turns if turn.asked]
    what = chance.choice(["ask", "ask", "call", "cut", "fail", "hand", "image"] + ["retry", "edit", "undo", "go", "clear", "resume"] * bool(turns))
    if what == "resume" and any(turn.before is chat.messages.tip for turn in chat.tree()): return   # others follow it, and stay where they are
    with contextlib.suppress(ChatError):
        if what == "ask": chat(asked)
        if what == "call": chat(asked, calls=chance.randint(1, 3), names=chance.choices(("work", "fail", "refuse", "stop"), (6, 2, 2, 1), k=chance.randint(1, 3)))
        if what == "cut": chat(asked, ends="length")
        if what == "fail": chat(asked, fails=True)
        if what == "hand": chat.messages.append_turn(asked, "answer")
        if what == "image": chat([{"type": "text", "text": asked}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}])
        if what == "retry": chat.retry()
        if what == "edit": chat.edit(asked)
        if what == "undo": chat.undo(chance.randint(1, len(turns)))
        if what == "go": chat.go(chance.choice(list(chat.tree())))
        if what == "clear": chat.clear()
        if what == "resume": chat.resume(more=" and more")


def work(said:int): return said
def fail(said:int): raise ValueError(said)
def refuse(said:int): return "not this"
def stop(said:int): raise KeyboardInterrupt


@pytest.mark.parametrize("seed", range(8))
def test_random_trees(path, seed):
    chance = random.Random(seed)
    store = ChatStore(path)
    options = {"tools": Tools([work, fail, refuse, stop], confirm=lambda call: call.name != "refuse", seconds=None)}
    chats = [Chat(Numbers(), "Count" if seed % 2 else None, store=store, temperature=0.5, **options)]
    for step in range(60):
        chat = chance.choice(chats)
        if chance.random() < 0.1: chats.append(chat.fork())
        elif chance.random() < 0.05: store = ChatStore(path)   # another kernel; the chats stay with the first
        elif chance.random() < 0.05 and len(store.chats()):
            chats.append(store.open(chance.choice(store.chats()), Numbers(), **options))
        else: do_something(chat, chance)
        number = chat.watchers[0].number
        if number is None: continue
        chat.watchers[0].moved()   # what was added by hand comes with the next answer
        again = store.open(number, Numbers())
        assert texts(again) == texts(chat)
        assert [len(turn.made) for turn in again.messages.turns] == [len(turn.made) for turn in chat.messages.turns]
        if all(other is chat or other.watchers[0].number != number for other in chats):
            assert without_twice(document_of(again.messages)) == without_twice(document_of(chat.messages))
        assert again.params == {"temperature": 0.5}
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM nodes").fetchone() == db.execute("SELECT count(*) FROM words").fetchone()
    assert not db.execute("SELECT count(*) FROM running").fetchone()[0]
    if store._indexes: db.execute("INSERT INTO words(words, rank) VALUES('integrity-check', 1)")


def without_twice(document):
    "The document without turns that say what another one at the same place says, and who came in whose place."
    names, kept = {}, {}
    for n, turn in enumerate(document["turns"]):
        before = names.get(turn["before"])
        name = hash((before, json.dumps({key: turn[key] for key in turn if key in ("messages", "interrupted", "finish_reason")})))
        names[n] = name
        kept.setdefault(name, {key: turn[key] for key in turn if key not in ("before", "instead_of")})
    return kept, names.get(document["tip"]), sorted({names[n] for n in document["left"]}), document.get("system")


def test_equal_beginnings_are_stored_once(store):
    for n in range(5): Chat(ScriptedModel("Mars", f"answer {n}"), "Be brief", store=store)("Name a planet")
    assert store._db.execute("SELECT count(*) FROM nodes").fetchone() == (2,)
    chat = Chat(ScriptedModel("Mars", "Venus", "Saturn"), "Be brief", store=store)
    chat("Name a planet"), chat("Another one")
    fork = chat.fork()
    assert len(store.chats()) == 6   # a fork is one when something is said in it
    fork.edit("A large one")
    assert len(store.chats()) == 7 and store._db.execute("SELECT count(*) FROM nodes").fetchone() == (4,)


def test_what_is_off_keeps_nothing(path):
    Chat(ScriptedModel("Mars"))("Name a planet")
    assert Chat.store is None and not path.exists()


def test_mode_and_secrets(path):
    before = os.umask(0)
    try: store = ChatStore(path)
    finally: os.umask(before)
    chat = Chat(ScriptedModel("Mars"), store=store, extra_headers={"Authorization": "Bearer key-123"}, api_key="key-123")
    chat("Name a planet")
    assert {file.name: file.stat().st_mode & 0o777 for file in files(path)} == {file.name: 0o600 for file in files(path)}
    assert len(files(path)) == 3 and not holds(path, "key-123")


def test_two_kernels_with_one_conversation(path):
    "Each sees its own way; nothing of either is lost."
    first = ChatStore(path)
    chat = Chat(ScriptedModel("Mars", "Phobos", "Deimos"), store=first)
    chat("Name a planet")
    second = ChatStore(path)
    other = second.open(1, ScriptedModel("Olympus Mons", "Valles Marineris"))
    chat("Its moon?"), other("Its mountain?"), chat("Another?"), other("Its valley?")
    said = [turn.text for turn in first.tree(1)]
    assert sorted(said) == ["Deimos", "Mars", "Olympus Mons", "Phobos", "Valles Marineris"]
    assert first.forget("nothing") == 0 and len(first.tree(1)) == 5


def test_the_beginning_is_no_branch(path):
    chat = Chat(ScriptedModel("Mars", "Venus"), store=ChatStore(path))
    chat("Name a planet")
    other = ChatStore(path).open(1, ScriptedModel())
    other.clear()
    chat("Another")
    again = ChatStore(path).open(1, ScriptedModel())
    assert texts(again) == texts(chat) and [turn.text for turn in again.tree()] == ["Mars", "Venus"]
    assert None not in again.messages.left


def test_a_long_conversation_whose_beginning_is_forgotten_but_shared(path, store):
    chat = Chat(ScriptedModel(*[f"answer {n}" for n in range(30)]), store=store)
    for n in range(30): chat(f"prompt {n}")
    forks = [chat.fork() for _ in range(3)]
    for fork in forks: fork("And on?")
    store.forget(1)
    assert [row.id for row in store.search("prompt 7")] and store.search("prompt 7")[0].turns == 31 and len(store.chats()) == 3
    store.forget(store.search("prompt 7")[0]), store.forget(store.search("prompt 7")[0])
    assert [row.turns for row in store.search("prompt 7")] == [31]
    store.forget("prompt 7")
    assert [store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("chats", "nodes", "branches")] == [0] * 3


def test_other_messages_are_another_conversation(store):
    chat = Chat(ScriptedModel("Mars", "Venus"), store=store)
    chat("Name a planet")
    chat.messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    chat("Name a planet")
    assert [(row.title, row.turns) for row in store.chats()] == [("Hi", 2), ("Name a planet", 1)]


def test_attached_later_and_twice(store):
    chat = Chat(ScriptedModel("Mars", "Venus"))
    chat("Name a planet")
    store.attach(chat), store.attach(chat)
    assert [row.turns for row in store.chats()] == [1] and len(chat.watchers) == 1
    chat("Another")
    assert [row.turns for row in store.chats()] == [2]


def test_a_prompt_without_an_answer_leaves_nothing(store):
    chat = Chat(ScriptedModel([KeyboardInterrupt()], "", "Mars"), store=store)
    chat("Name a planet"), chat("Name a planet")
    assert not len(store.chats()) and not store._db.execute("SELECT count(*) FROM nodes").fetchone()[0]
    chat("Name a planet")
    assert len(store.chats()) == 1


def test_a_conversation_that_was_cleared(store):
    chat = Chat(ScriptedModel("Mars", "Venus"), store=store)
    chat("Name a planet"), chat.clear()
    assert [(row.title, row.turns) for row in store.chats()] == [("Name a planet", 0)]
    again = store.open(1, ScriptedModel())
    assert len(again.messages) == 0 and [turn.text for turn in again.tree()] == ["Mars"]
    chat("Name another")
    assert [(row.title, row.turns) for row in store.chats()] == [("Name another", 1)] and len(store.tree(1)) == 2


def test_an_answer_with_steps(path):
    "The functions that are called on the way are kept as they come."
    from llama_nbchat import Call, Reply
    store = ChatStore(path)
    chat = Chat(Numbers(), store=store)
    keeper, = chat.watchers
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    reply = Reply("What time is it?")
    reply.begin()
    keeper(reply, reply.grow(Delta(tool_calls=(call,))))
    store._write(keeper, 1)
    reply.step([Call("now", {}, "12:00", 0.5, id="c1")])
    keeper(reply, reply.grow(Delta("Noo")))
    store._write(keeper, 1)
    keeper(reply, reply.grow(Delta("n")))
    store._write(keeper, 1)
    store._db.execute("UPDATE running SET owner = ?", [json.dumps({**database._me(), "began": 1})])
    turn, = ChatStore(path).tree(1)
    assert [message.as_dict() for message in turn.messages] == [message.as_dict() for message in reply.messages] and turn.interrupted
    assert turn.calls == reply.calls and turn.calls[0].seconds == 0.5


def test_export(path, store):
    "No model is needed for it, and none is named that has not answered."
    class Named(ScriptedModel): pass
    chat = Chat(Named("Mars", "Venus"), store=store, temperature=0.5)
    chat("Name a planet"), chat.retry()
    for ending in ("html", "md", "ipynb"):
        file = path.with_name(f"talk.{ending}")
        store.export(store.chats()[0], file)
        assert document_of(Chat.load(file, Numbers()).messages) == document_of(chat.messages) and Chat.load(file, Numbers()).params == {"temperature": 0.5}
        with pytest.raises(ModelNotFoundError, match="was had with .Named"): Chat.load(file)
    assert len(store.chats()) == 1


def test_a_running_answer_that_is_damaged_harms_nobody(path, store):
    Chat(ScriptedModel("Mars"), store=store)("Name a planet")
    for head in ("7", "{", '{"messages": 7}', '{"messages": [{"role": "x"}]}', "[]"):
        store._db.execute("INSERT OR REPLACE INTO running VALUES(1, ?, 0, 'x', NULL, ?)", [json.dumps({**database._me(), "began": 1}), head])
        assert [row.turns for row in ChatStore(path).chats()] == [1]


def test_many_threads(store):
    def talk(n):
        chat = Chat(ScriptedModel(*[f"answer {n} {k}" for k in range(10)]), store=store)
        for k in range(10): "".join(chat.stream(f"prompt {n} {k}"))
    threads = [threading.Thread(target=talk, args=[n]) for n in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert sorted(row.turns for row in store.chats()) == [10] * 8
    for row in store.chats(): assert [turn.text for turn in store.tree(row)] == [f"answer {row.title.split()[1]} {k}" for k in range(10)]


# Kernels that die

DYING = """
import json, random, sys, time
from llama_nbchat import Chat, ChatModel, ChatStore, Delta
Chat.footer = False
chance = random.Random(int(sys.argv[2]))

class Slow(ChatModel):
    can = frozenset({"resume"})
    def stream(self, messages, **params):
        for n in range(chance.randrange(1, 150)):
            time.sleep(chance.random() * 0.03)
            yield Delta(f"<think>{time.time()} " if n == 0 and chance.random() < 0.3 else f"</think>{time.time()} " if n == 30 else f"{time.time()} ")
        yield Delta(finish_reason=chance.choice(["stop", "length"]))

chat = Chat(Slow(), store=ChatStore(sys.argv[1]))
print("ready", flush=True)
for n in range(1000):
    resumed = chat.last is not None and chat.last.finish_reason == "length"
    if resumed: list(chat._begin(chat.last, {}))
    else: "".join(chat.stream(f"{sys.argv[2]} prompt {n}"))
    if chat.last is chat.messages.tip: print(json.dumps([len(chat.messages.turns), chat.last.finish_reason, chat.last.reasoning, chat.last.text]), flush=True)
"""


def test_kernels_that_are_killed(path):
    "At any moment: all that had ended is whole, and what there was of the rest is there, and marked."
    killed = len(moments(100, 10)) if not EVERY_MOMENT else 100
    chance, ages = random.Random(time.time()), []
    for first in range(0, killed, 10):
        seeds = range(first, min(first + 10, killed))
        kernels = {seed: python(DYING, path, seed) for seed in seeds}
        told = {seed: [] for seed in seeds}
        def listen(seed):
            for line in kernels[seed].stdout: told[seed].append(line.rstrip("\n"))
        listeners = [threading.Thread(target=listen, args=[seed]) for seed in seeds]
        for listener in listeners: listener.start()
        for seed in seeds:
            while not told[seed]: time.sleep(0.01)
        times = {seed: time.time() + 4 * chance.random() for seed in seeds}
        for seed in sorted(seeds, key=times.get):
            time.sleep(max(0, times[seed] - time.time()))
            kernels[seed].kill()
            times[seed] = time.time()
        for kernel in kernels.values(): kernel.wait()
        for listener in listeners: listener.join()
        store = ChatStore(path)
        rows = {int(row.title.split()[0]): row for row in store.chats()}
        for seed in seeds: ages += look_at(store, rows.get(seed), told[seed][1:], times[seed])
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    print(f"{killed} kernels were killed, {len(ages)} of them in the middle of an answer that was kept; its last word was {max(ages, default=0):.2f} s old at most")
    assert max(ages, default=0) < (1.5 if EVERY_MOMENT else 10)   # seconds; a busy machine may be late


def look_at(store, row, told, killed):
    "Whether the conversation is what its kernel has told; gives how old the last word of an answer is that was cut."
    turns = store.open(row, Numbers()).messages.turns if row else []
    known = {number: rest for number, *rest in map(json.loads, told)}
    for number, (ended, *said) in known.items():
        turn = turns[number - 1]
        words = " ".join(said).split()
        if number == len(turns) and ended == "length" and words_of(turn) != words: assert words_of(turn)[:len(words)] == words   # it was being gone on with
        else: assert [turn.finish_reason, turn.reasoning, turn.text, turn.interrupted] == [ended, *said, False]
    assert len(turns) <= len(known) + 1
    cut = [turn for turn in [*turns[-1:], *store.tree(row)[-1:]] if turn.interrupted] if row else []
    assert not any(turn.interrupted for turn in turns[:-1])
    return [killed - float(words_of(cut[0])[-1].rpartition(">")[2])] if cut and words_of(cut[0]) else []


def words_of(turn): return f"{turn.reasoning} {turn.text}".split()


def test_an_answer_that_stalls_is_kept(path):
    "What was written before a long pause is there, though nothing comes after it."
    program = DYING.replace("time.sleep(chance.random() * 0.03)", "n < 20 or (print('stalled', flush=True), time.sleep(1000))").replace("randrange(1, 150)", "randrange(50, 51)")
    kernel = python(program, path, 1)
    while kernel.stdout.readline() != "stalled\n": pass
    latest = time.monotonic() + 60
    while time.monotonic() < latest:
        with contextlib.closing(sqlite3.connect(path)) as db: pieces = [json.loads(piece) for piece, in db.execute("SELECT piece FROM pieces")]
        written = "".join(run.get("text", "") for piece in pieces for run in piece[1] or piece[0])
        if len(written.split()) == 20: break
        time.sleep(0.1)
    assert len(written.split()) == 20
    assert ChatStore(path).chats()[0].turns == 0   # its kernel lives: it is not touched
    kernel.kill(), kernel.wait()
    turn, = ChatStore(path).tree(1)
    assert turn.interrupted and turn.written == written and turn.asked.text == "1 prompt 0"


def test_a_zombie_is_dead(path):
    kernel = python(DYING, path, 2)
    kernel.stdout.readline()
    assert not database._is_gone({"place": database._place(), "process": kernel.pid, "began": database._began(kernel.pid)}, time.time())
    began = database._began(kernel.pid)
    kernel.kill()
    os.waitid(os.P_PID, kernel.pid, os.WEXITED | os.WNOWAIT)
    assert database._is_gone({"place": database._place(), "process": kernel.pid, "began": began}, time.time())
    kernel.wait()


TALKING = """
import sys
from llama_nbchat import Chat, ChatStore, ScriptedModel
chat = Chat(ScriptedModel(*[f"answer {n} of {sys.argv[2]}" for n in range(200)]), store=ChatStore(sys.argv[1]))
sys.stdin.readline()
for n in range(200): "".join(chat.stream(f"prompt {n} of {sys.argv[2]}"))
"""


def test_two_kernels(path):
    "200 turns of each of two: all there."
    kernels = [python(TALKING, path, n, stdin=subprocess.PIPE) for n in range(2)]
    for kernel in kernels: kernel.stdin.write("\n"), kernel.stdin.flush()
    for kernel in kernels: assert kernel.wait() == 0
    store = ChatStore(path)
    assert [row.turns for row in store.chats()] == [200, 200]
    for row in store.chats():
        name = row.title.split()[-1]
        assert [turn.text for turn in store.tree(row)] == [f"answer {n} of {name}" for n in range(200)]
    assert len(store.search("answer 199")) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork")
def test_a_process_that_forks(path, store):
    chat = Chat(ScriptedModel("Mars", "Phobos", "Deimos"), store=store)
    chat("Name a planet")
    counting = chat.stream("Its moon?")
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            other = Chat(ScriptedModel("Venus", "None"), store=store)
            other("Name another")
            code = 0 if len(store.chats()) == 2 else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    "".join(counting)
    assert [(row.title, row.turns) for row in store.chats()] == [("Name a planet", 2), ("Name another", 1)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork")
@pytest.mark.parametrize("lock", ["_lock", "_gate"])
def test_a_child_does_not_wait_for_the_threads_of_its_parent(store, lock):
    "Nor does it use the connection of its parent."
    chat = Chat(ScriptedModel("Mars", "Venus"), store=store)
    chat("Name a planet")
    connection, locked, done = store._db, threading.Event(), threading.Event()
    def hold():
        with getattr(store, lock): locked.set(), done.wait()
    threading.Thread(target=hold, daemon=True).start()
    locked.wait()
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            signal.alarm(60)   # instead of waiting for ever
            chat("Name another")
            code = 0 if len(store.chats()) == 2 and store._db is not connection else 2
        os._exit(code)
    ended = os.waitpid(child, 0)[1]
    done.set()
    assert ended == 0 and [row.turns for row in store.chats()] == [2, 1]


def test_what_was_left_to_write_is_written_at_the_end(path):
    program = """
import sys, sqlite3, threading, time
from llama_nbchat import Chat, ChatStore, ScriptedModel
store = ChatStore(sys.argv[1])
busy = sqlite3.connect(sys.argv[1], check_same_thread=False)
busy.execute("BEGIN IMMEDIATE")
Chat(ScriptedModel("Mars"), store=store)("Name a planet")
busy.execute("ROLLBACK")
busy.close()
"""
    assert python(program, path).wait() == 0
    assert [row.turns for row in ChatStore(path).chats()] == [1]
    assert [file.name for file in files(path) if not file.name.endswith("chats.db")] == []


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="only the main thread is interrupted")
def test_the_stop_button_at_any_line(path):
    "Whatever line of the store it meets: what is in the file is what is in the chat, once."
    def talk(stop):
        "A turn, and one taken back; how many lines of the store have run, at one of which the button is pressed."
        lines = 0
        def trace(frame, event, argument):
            nonlocal lines
            if frame.f_code.co_filename not in (room.__file__, database.__file__): return None
            if event == "line":
                lines += 1
                if lines == stop: signal.raise_signal(signal.SIGINT)
            return trace
        sys.settrace(trace)
        try:
            with contextlib.suppress(KeyboardInterrupt): chat("Name a planet")
            with contextlib.suppress(KeyboardInterrupt): fork.undo()
            with contextlib.suppress(KeyboardInterrupt, ChatError): chat.undo()
        finally: sys.settrace(None)
        return lines
    chat = Chat(ScriptedModel("Mars"), store=ChatStore(path.with_name("first.db")))
    chat.messages.append_turn("Hello", "Hello there")
    fork = chat.fork()
    for stop in moments(talk(0), 10):
        store = ChatStore(path.with_name(f"{stop}.db"))
        chat = Chat(ScriptedModel(["Mars", " and", " Venus"], "Saturn"), store=store)
        chat.messages.append_turn("Hello", "Hello there")
        fork = chat.fork()
        talk(stop)
        fork("And another?"), chat("And another?")
        assert [texts(store.open(row, Numbers())) for row in store.chats()] == [texts(chat), texts(fork)] and not store._db.in_transaction


# When it fails

def told(action):
    "What is said as warnings meanwhile."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        action()
    return [str(one.message) for one in said]


def test_a_file_that_is_locked(path, store, monkeypatch):
    "The answer does not wait for it, nothing is lost, and nothing is said unless it lasts."
    monkeypatch.setattr(room, "_HURRY", 0.02)
    busy = sqlite3.connect(path)
    busy.execute("BEGIN IMMEDIATE")
    chat = Chat(ScriptedModel("Mars", "Venus", "Saturn"), store=store)
    tries = []
    held = ChatStore._held
    monkeypatch.setattr(ChatStore, "_held", lambda self, patience: (threading.current_thread() is threading.main_thread() and tries.append(patience), held(self, patience))[1])
    assert told(lambda: (chat("One"), chat("Two"))) == []
    assert set(tries) == {0.02} and texts(chat)[1::2] == ["Mars", "Venus"]
    store._since -= 10
    said = told(lambda: chat("Three"))
    assert len(said) == 1 and "database is locked" in said[0] and str(path) in said[0]
    busy.execute("ROLLBACK")
    assert [row.turns for row in store.chats()] == [3]


def test_a_disk_that_is_full(path, store):
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    chat = Chat(ScriptedModel("Mars " * 5000, "Venus", "Saturn"), store=store)
    said = told(lambda: (chat("One"), chat("Two")))
    assert len(said) == 1 and "disk is full" in said[0] and len(chat.messages) == 4
    store._db.execute("PRAGMA max_page_count = 1000000")
    chat("Three")
    assert [row.turns for row in store.chats()] == [3] and [turn.text for turn in store.tree(1)] == [turn.text for turn in chat.messages.turns]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path/"disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True).returncode: pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_real_disk_that_is_full(small_disk):
    store = ChatStore(small_disk/"chats.db")
    chat = Chat(ScriptedModel("Mars", "Venus " * 50_000, "Saturn"), store=store)
    said = told(lambda: (chat("One"), chat("Two"), chat("Three")))
    assert len(said) == 1 and "full" in said[0] and len(chat.messages) == 6
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert [row.turns for row in store.chats()] == [3]
    store._db.close()
    store._db = None
    assert sqlite3.connect(small_disk/"chats.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_can_only_be_read(path, monkeypatch):
    Chat(ScriptedModel("Mars"), store=ChatStore(path))("Name a planet")
    monkeypatch.setattr(os, "access", lambda file, mode: mode != os.W_OK)
    store = ChatStore(path)
    assert [row.turns for row in store.search("planet")] == [1]
    chat = store.open(1, ScriptedModel("Venus", "Saturn"))
    said = told(lambda: (chat("Another"), chat("Another")))
    assert len(said) == 1 and "readonly" in said[0] and len(chat.messages) == 6


def test_a_file_system_without_a_log(path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda address, **options: connect(address + "&vfs=unix-dotfile" * options.get("uri", False), **options))
    made = []
    said = told(lambda: made.append(ChatStore(path)))
    assert len(said) == 1 and "journal_mode=DELETE" in said[0]
    chat = Chat(ScriptedModel("Mars", "Venus"), store=made[0])
    assert told(lambda: (chat("One"), chat("Two xyzzy"))) == []
    assert [row.turns for row in made[0].chats()] == [2] and made[0].forget("xyzzy") == 1 and not holds(path, "xyzzy")


def test_a_network(path, monkeypatch):
    monkeypatch.setattr(database, "_in_network", lambda path: True)
    made = []
    assert len(told(lambda: made.append(ChatStore(path)))) == 1
    assert made[0]._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_without_sqlite(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(NotInstalledError, match="SQLite"): ChatStore(path)
    assert not path.exists()


def test_which_file_systems_are_shared(tmp_path, monkeypatch):
    mounts = ["/dev/sda / ext4 rw 0 0", "host:/shared /shared nfs4 rw 0 0", "tmpfs /shared/scratch tmpfs rw 0 0", "x /far/my\\040files fuse.sshfs rw 0 0", "overlay /layered overlay rw 0 0"]
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self, **options: "\n".join(mounts) if str(self) == "/proc/self/mounts" else read(self, **options))
    where = ["/shared/chats.db", "/shared/scratch/chats.db", "/far/my files/chats.db", "/near/chats.db", "/shared2/chats.db", "/layered/chats.db"]
    assert [database._in_network(Path(path)) for path in where] == [True, False, True, False, False, False]


@pytest.mark.parametrize("content", [b"Buy milk", b"\0" * 5000, b"SQLite format 3\0" + b"x" * 5000])
def test_what_is_no_store_is_not_touched(path, content):
    path.write_bytes(content)
    with pytest.raises(ConversationFileError, match="can't be used as a store"): ChatStore(path)
    assert path.read_bytes() == content


def test_a_database_of_another_program(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE chats(x)")
    db.commit()
    db.close()
    content = path.read_bytes()
    with pytest.raises(ConversationFileError, match="another program"): ChatStore(path)
    assert path.read_bytes() == content


def test_a_layout_from_the_future(path):
    store = ChatStore(path)
    Chat(ScriptedModel("Mars"), store=store)("Name a planet")
    store._db.execute(f"PRAGMA user_version = {len(database._LAYOUT) + 1}")
    with pytest.raises(ConversationFileError, match="pip install -U"): ChatStore(path)


def test_a_layout_of_the_past(path, monkeypatch):
    "Each version leads to the next, in one step or not at all, whoever comes first."
    Chat(ScriptedModel("Mars"), store=ChatStore(path))("Name a planet")
    monkeypatch.setattr(database, "_LAYOUT", [*database._LAYOUT, ["ALTER TABLE chats ADD COLUMN mood TEXT", "UPDATE chats SET mood = 'good'", "wrong"]])
    with pytest.raises(ConversationFileError, match="syntax error"): ChatStore(path)
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (len(database._LAYOUT) - 1,)
    database._LAYOUT[-1].pop()
    stores = []
    threads = [threading.Thread(target=lambda: stores.append(ChatStore(path))) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(stores) == 4 and stores[0]._db.execute("SELECT mood FROM chats").fetchall() == [("good",)]
    Chat(ScriptedModel("Venus"), store=stores[1])("Name another")
    assert [row.title for row in stores[2].chats()] == ["Name another", "Name a planet"]


def test_a_new_file_that_many_open_at_once(path):
    program = "import sys; from llama_nbchat import ChatStore; sys.stdin.readline(); ChatStore(sys.argv[1])"
    kernels = [python(program, path, stdin=subprocess.PIPE) for _ in range(4)]
    for kernel in kernels: kernel.stdin.write("\n"), kernel.stdin.flush()
    assert [kernel.wait() for kernel in kernels] == [0] * 4


@pytest.mark.parametrize("given", ["chats.db", "nowhere/chats.db"])
def test_the_environment(tmp_path, given):
    program = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from llama_nbchat import Chat, ScriptedModel
Chat(ScriptedModel("Mars"))("Name a planet")
print([str(one.message) for one in said if "store" in str(one.message)], Chat.store and len(Chat.store.chats()))
"""
    kernel = python(program, env={**os.environ, "LLAMA_NBCHAT_STORE": given}, cwd=tmp_path)
    said = kernel.communicate()[0].splitlines()[-1]
    if given == "chats.db": assert said == "[] 1"
    else: assert "no folder" in said and said.endswith("None")


# Searching

AWKWARD = [*string.punctuation, "AND", "OR", "NOT", "NEAR", "NEAR(a b)", "NEAR(mars, 2)", "mars*", "^mars", "said:mars", "said : mars", "-mars", "+mars", '"mars', "'mars", '""', "' OR 1=1 --", "mars; DROP TABLE nodes",
    "%", "_", "%ars", "m_rs", "\\", "\\%", "{said} : mars", "(", "mars AND", "\x00", "mars\x00", "\ud83d", "😀", "\n", "a" * 10_000]


@pytest.mark.parametrize("indexed", [True, False])
def test_signs_are_no_syntax(store, indexed):
    for n, words in enumerate(AWKWARD): Chat(ScriptedModel(f"answer {n}"), store=store)(f"«{words}» {n}") if words.strip() else None
    if not indexed: store._indexes = False
    told = {row.id: turn_text(store, row) for row in store.chats()}
    for n, words in enumerate(AWKWARD):
        if not database._folded(words).strip(): continue
        rows = store.search(words)
        needed = database._folded(words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")).split()
        assert [row.id for row in rows] == [number for number in told if all(word in told[number] for word in needed)], words
        repr(rows), rows._repr_html_()


def turn_text(store, row): return database._folded("\n".join(f"{turn.prompt}\n{turn.text}" for turn in store.tree(row)))


def test_parts_of_words_and_other_scripts(store):
    said = {"太阳系有八颗行星": ["行星", "星", "八颗行", "太阳系有八颗行星"], "Grüße aus Köln": ["grüsse", "GRÜSSE", "köln", "ö", "ÖL"], "Солнечная система": ["солн", "СИСТЕМА", "си"],
        "Cafe\u0301": ["café", "CAFÉ"], "hippopotamus": ["popo", "hi", "mus"]}
    for text in said: Chat(ScriptedModel(text), store=store)("?")
    for store._indexes in (True, False):
        for text, words in said.items():
            for word in words: assert [store.tree(row)[0].text for row in store.search(word)] == [text], word


def test_without_an_index_and_later_with_one(path, monkeypatch):
    monkeypatch.setattr(database, "_WORDS", "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts99(said)")
    store = ChatStore(path)
    Chat(ScriptedModel("Mars"), store=store)("Name a planet")
    assert not store._indexes and len(store.search("planet")) == len(store.search("an")) == 1
    assert store.forget("nothing") == 0
    monkeypatch.undo()
    later = ChatStore(path)
    assert later._indexes and len(later.search("planet")) == 1
    assert later._db.execute("SELECT count(*) FROM nodes WHERE indexed = 0").fetchone() == (0,)
    assert len(ChatStore(path).search("planet")) == 1


# Forgetting

SECRET = "žŕďěé-魑魅魍魎-swordfish"


def index(path):
    with contextlib.closing(sqlite3.connect(path)) as db: return b"".join(bytes(block) for block, in db.execute("SELECT block FROM words_data"))


@pytest.mark.parametrize("where", ["prompt", "answer", "reasoning", "system", "params", "error", "image"])
def test_what_is_forgotten_is_gone(path, store, where):
    for n in range(20): Chat(ScriptedModel(f"answer {n} " * 50), store=store)(f"prompt {n}")
    prompt = f"My word is {SECRET}" if where == "prompt" else "Hello"
    if where == "image": prompt = [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": {"url": f"data:{SECRET}"}}]
    answer = {"answer": [f"It is {SECRET}"], "reasoning": [f"<think>It is {SECRET}</think>Hello"], "error": ["Hello", OSError(SECRET)]}.get(where, ["Hello"])
    params = {"user": SECRET} if where == "params" else {}
    chat = Chat(ScriptedModel(answer, "And on", "Yes", "Yes"), SECRET if where == "system" else None, store=store, **params)
    with contextlib.suppress(ChatError): chat(prompt)
    chat("And on?")
    other = ChatStore(path)   # another kernel that has the file open
    assert len(other.chats()) == 21
    assert holds(path, SECRET)
    if where in ("prompt", "answer", "reasoning", "system"): assert len(store.search(SECRET)) == 1 and "魑".encode() in index(path)
    assert store.forget(SECRET.upper()) == 1
    assert not holds(path, SECRET) and not holds(path, "swordfish") and not holds(path, "SWORDFISH")
    assert "魑".encode() not in index(path) and "魍".encode() not in index(path)
    assert len(store.chats()) == len(other.chats()) == 20 and len(store.search("answer")) == 20
    said = told(lambda: (chat("Still?"), chat("Still?")))
    assert len(said) == 1 and "forgotten" in said[0] and not holds(path, SECRET)


def test_forgetting_what_is_being_written(path, store):
    counting = Chat(ScriptedModel([SECRET, " and", " more"]), store=store).stream("Tell me")
    next(counting)
    latest = time.monotonic() + 60
    while not holds(path, SECRET) and time.monotonic() < latest: time.sleep(0.05)
    assert store.forget(SECRET) == 1 and not holds(path, SECRET)
    assert len(told(lambda: list(counting))) == 1
    assert not holds(path, SECRET) and not len(store.chats())


def test_forgetting_a_fork(path, store):
    "What others have in common with it stays, and is found with them."
    chat = Chat(ScriptedModel("Mars", "Phobos", "Olympus Mons", "Deimos"), store=store)
    chat("Name a planet")
    fork = chat.fork()
    chat("Its moon?"), fork("Its mountain?")
    assert store.forget(1) == 1
    assert [row.id for row in store.search("planet")] == [2] and not holds(path, "Phobos") and holds(path, "Olympus")
    assert fork("Another moon?").text == "Deimos" and [row.turns for row in store.chats()] == [3]
    with pytest.raises(ChatError, match="no conversation 1"): store.open(1, ScriptedModel())


def test_a_fork_of_what_was_forgotten_does_not_bring_it_back(path, store):
    chat = Chat(ScriptedModel("Mars", "Phobos", "Deimos"), store=store)
    chat(f"Name a planet, {SECRET}")
    fork = chat.fork()
    store.forget(SECRET)
    assert len(told(lambda: fork("Its moon?"))) == 1 and not holds(path, SECRET)


def test_a_conversation_that_another_one_equals_is_forgotten(store):
    "All of its turns are still there, and it is not."
    chat, other = (Chat(ScriptedModel("Mars", "Phobos"), store=store) for _ in range(2))
    chat("Name a planet"), other("Name a planet")
    assert store.forget(1) == 1
    assert len(told(lambda: chat("Its moon?"))) == 1 and [(row.id, row.turns) for row in store.chats()] == [(2, 1)]
    with pytest.raises(ChatError, match="no conversation 1"): store.forget([2, 1])
    assert len(store.chats()) == 1


def test_at_most_so_many_are_found(store, monkeypatch):
    for n in range(5): Chat(ScriptedModel("Mars"), store=store)(f"Name planet {n}")
    monkeypatch.setattr(database, "_MOST_FOUND", 3)
    assert [row.title for row in store.search("planet")] == ["Name planet 4", "Name planet 3", "Name planet 2"]


def test_forgetting_rows_and_by_date(path, store):
    for n in range(6): Chat(ScriptedModel("Mars" if n % 2 else "Venus"), store=store)(f"planet {n}")
    store._db.execute("UPDATE chats SET changed = 0 WHERE n = 6")
    assert store.forget(before="2001-01-01") == 1
    assert store.forget(store.search("venus")) == 3 and [row.title for row in store.chats()] == ["planet 3", "planet 1"]
    assert store.forget(store.chats()[0]) == 1 and store.forget(store.chats()[:0]) == 0 and len(store.chats()) == 1


def test_a_reader_keeps_it_from_being_cleaned(path, store, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    Chat(ScriptedModel("Mars"), store=store)(SECRET)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM nodes").fetchall()
    with pytest.raises(ConversationFileError, match="store.clean()"): store.forget(SECRET)
    reader.execute("COMMIT")
    store.clean()
    assert not holds(path, SECRET)


def test_a_deleted_file_is_begun_anew(path, store):
    chat = Chat(ScriptedModel("Mars", "Venus"), store=store)
    chat("One")
    for file in files(path): file.unlink()
    chat("Two")
    assert [row.turns for row in ChatStore(path).chats()] == [2]
